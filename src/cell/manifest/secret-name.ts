/** Whether a name is one that people give to secrets: `apiToken`, `DB_PASSWORD`, `private-key`. */
export function looksSecret(name: string): boolean {
  return /(passw(or)?d|passphrase|secret|token|api[-_.]?key|private[-_.]?key|access[-_.]?key|credential)/i.test(name);
}
