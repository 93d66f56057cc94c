// Declarations of a component, printed by `cyto inspect --types`.

export interface Imports {
  "example:embed/progress": {
    report(bytes: number): void | Promise<void>;
  };
}

export interface Exports {
  "example:embed/adler32": {
    ofText(text: string): number | Promise<number>;
    ofStream(bytes: (import("cytoplane/component").StreamSource<Uint8Array> | Iterable<Uint8Array> | AsyncIterable<Uint8Array>), options?: import("cytoplane/component").TaskOptions): Promise<number>;
    reserve(pages: number): boolean | Promise<boolean>;
    spin(): void | Promise<void>;
  };
}
