/**
 * Reads a function body once and notes the sites at which weaving writes something: loops, calls,
 * ways out, bulk instructions, and what each stretch of code costs.
 *
 * Costs are in units (`weights.ts`). A loop is charged at its head for the dearest way through its
 * body, loops inside of it excepted, which are charged themselves. An arm of a branch that is dear
 * by itself is charged where it begins instead: the interpreter with its hundred cases pays for the
 * case that it runs. Nothing here trusts the module: V8 judges it after it is woven, so this only
 * has to end, and to refuse what it cannot read.
 */
import { CytoError } from "../../kernel/index.ts";
import { form, forms, gcForms, misc, miscForms, opcode, simdForm } from "../opcodes.ts";
import { GROW_UNITS, weights } from "./weights.ts";

/** Seven numbers a site: where, which, and five that depend on which. */
export const SITE = 7;

export const site = {
  none: 0,
  /**
   * After a loop's block type. End: of a body that may be unrolled (0: it may not); a: units; b: the loop;
   * c: where the instruction begins; d: 1 when there is no loop in it.
   */
  loop: 1,
  /** The beginning of a dear arm. a: units. */
  arm: 2,
  /** End: of the instruction; a: the function called, -1 when any; b: the innermost loop, -1 outside. */
  call: 3,
  /** An instruction that leaves the function: return, tail calls, throws. */
  leave: 4,
  /** A bulk instruction or a wait that is done in pieces. End; a: prefix and opcode; b: the innermost loop. */
  piece: 5,
  /** An instruction on arrays whose topmost operand is a count. b: the innermost loop. */
  array: 6,
  /** The beginning of an arm, outside of loops, that calls. a: units when it is dear, else 0. */
  enter: 7,
  /** A branch that leaves the innermost loop. End; a: the label of that loop, counted from here; b: the loop. */
  exit: 8,
  /** Behind a loop. b: the loop. */
  loopEnd: 9,
} as const;

export interface FunctionScan {
  /** The first byte of the local declarations, the first instruction, and past the last. */
  readonly start: number;
  readonly code: number;
  readonly end: number;
  /** How many groups of locals are declared, where they begin, and how many locals they are. */
  readonly groups: number;
  readonly groupsAt: number;
  readonly locals: number;
  readonly firstSite: number;
  readonly lastSite: number;
  readonly loops: number;
  /** The dearest way through, loops and dear arms excepted. */
  readonly units: number;
  /** It has instructions that catch exceptions. */
  readonly catches: boolean;
  /** No loop, no dear arm, and no calls but direct ones: its cost is known if theirs is. */
  readonly simple: boolean;
  /** It has bulk instructions that are done in pieces. */
  readonly hasPieces: boolean;
  /** It calls before ways part; and how many arms outside of loops call. */
  readonly callsAtOnce: boolean;
  readonly enters: number;
}

export interface Scan {
  readonly functions: readonly FunctionScan[];
  readonly sites: Int32Array;
  /** Some function makes objects that V8 collects. */
  readonly collected: boolean;
}

/** An arm that costs more is charged by itself. */
const ARM_UNITS = 64;
const LOOP_UNITS = 3;
/** A bulk instruction of no more bytes is done as it stands, and one of no more elements. */
export const SMALL_BYTES = 4096;
export const SMALL_ELEMENTS = 64;
const SMALL_UNITS = 64;
/** Loop bodies of fewer bytes may be unrolled. */
const UNROLLED_BYTES = 96;
const ATOMIC_UNITS = 8;
const OBJECT_UNITS = 8;
/** `struct.new` and `array.new` in all their forms. */
const MAKES_OBJECT: ReadonlySet<number> = new Set([0, 1, 6, 7, 8, 9, 10]);

/** The instructions on arrays whose topmost operand is a count of elements. */
const countedArrays: ReadonlySet<number> = new Set([6, 7, 9, 10, 16, 17, 18, 19]);

/** `at` is where the bodies begin, behind their count. */
export function scanCode(bytes: Uint8Array, from: number, end: number, count: number): Scan {
  let at = from;
  let sites = new Int32Array(4096);
  let length = 0;
  let collected = false;
  // The frames of the function that is read, innermost last; and the loops among them.
  let depth = 0;
  let frames = new Int32Array(256 * FRAME);
  let levels = new Int32Array(64);

  function fail(problem: string, where: number): never {
    throw new CytoError("invalid-component", `Cannot weave the core module: ${problem} at byte ${where}`, {
      hint: "The file may be damaged, or newer than this engine: build it again for WebAssembly 3.0 or older.",
    });
  }

  function note(offset: number, kind: number, until: number, a: number, b: number): number {
    if (length + SITE > sites.length) {
      const grown = new Int32Array(sites.length * 2);
      grown.set(sites);
      sites = grown;
    }
    const index = length;
    sites[index] = offset;
    sites[index + 1] = kind;
    sites[index + 2] = until;
    sites[index + 3] = a;
    sites[index + 4] = b;
    sites[index + 5] = sites[index + 6] = 0;
    length += SITE;
    return index;
  }

  function u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    return fail("a number is longer than 5 bytes", at);
  }

  function s32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return shift < 25 && byte & 0x40 ? value | (-1 << (shift + 7)) : value;
    }
    return fail("a number is longer than 5 bytes", at);
  }

  function skip(): void {
    while (bytes[at++]! >= 0x80);
  }

  function skipHeapType(): void {
    skip();
  }

  function skipValueType(): void {
    const byte = bytes[at++]!;
    if (byte === 0x63 || byte === 0x64) skipHeapType();
    else if (byte >= 0x80) fail(`0x${byte.toString(16)} is no value type`, at - 1);
  }

  function skipBlockType(): void {
    const byte = bytes[at]!;
    if (byte === 0x63 || byte === 0x64) {
      at += 1;
      skipHeapType();
    } else skip();
  }

  function skipMemory(): void {
    const align = u32();
    if (align & 0x40) skip();
    skip();
  }

  function items(): number {
    const many = u32();
    if (many > end - at) fail(`${many} items are announced`, at);
    return many;
  }

  function scanFunction(start: number, bodyEnd: number): FunctionScan {
    at = start;
    const firstSite = length;
    const groups = items();
    const groupsAt = at;
    let locals = 0;
    for (let index = 0; index < groups; index++) {
      locals += u32();
      skipValueType();
    }
    const code = at;

    depth = 0;
    let level = 0;
    let loops = 0;
    let catches = false;
    let simple = true;
    /** Nothing gets to here. */
    let dead = false;
    /** The dearest way to here from the head of the innermost loop, or of the function, without the present stretch. */
    let way = 0;
    let dearest = 0;
    /** The stretch of code since the last place where ways meet or part. */
    let stretch = 0;
    let slot = -1;
    let loop = -1;
    /**
     * The frame of the innermost loop; whether it has no blocks in it (V8 does better with one copy of
     * those), and no branches but the last; and where that is.
     */
    let loopFrame = -1;
    let plain = false;
    let closed = false;
    let lastBranch = -1;
    let callsAtOnce = false;
    let enters = 0;
    let hasPieces = false;
    let constant = -1;
    let constantEnd = -1;
    levels[0] = 0;

    function push(kind: number): void {
      if ((depth + 1) * FRAME > frames.length) {
        const grown = new Int32Array(frames.length * 2);
        grown.set(frames);
        frames = grown;
      }
      const frame = depth++ * FRAME;
      frames[frame + KIND] = kind;
      frames[frame + REACHED] = 0;
      frames[frame + WAY] = 0;
      frames[frame + BEGAN] = way;
      frames[frame + LEVEL] = level;
      frames[frame + DEAD] = dead ? 1 : 0;
    }

    function closeStretch(): void {
      if (!dead) {
        if (stretch > ARM_UNITS && slot >= 0) {
          if (sites[slot + 1] === site.none) sites[slot + 1] = site.arm;
          sites[slot + 3] = stretch;
          simple = false;
        } else {
          way = Math.min(way + stretch, UNITS_MAX);
          if (slot >= 0 && slot === length - SITE) length = slot;
        }
        if (way > dearest) dearest = way;
      }
      stretch = 0;
      slot = -1;
    }

    function openStretch(): void {
      if (!dead) slot = note(at, site.none, 0, 0, 0);
    }

    /** A call of what may be metered. In a loop, the loop is charged for it. */
    function calls(): void {
      if (level > 0) return;
      if (slot < 0) callsAtOnce = true;
      else if (sites[slot + 1] === site.none) {
        sites[slot + 1] = site.enter;
        enters += 1;
      }
    }

    function branch(label: number): void {
      if (label >= depth) fail(`a branch leaves ${label} blocks of ${depth}`, at);
      if (depth - 1 - label <= loopFrame) closed = false;
      if (dead) return;
      const frame = (depth - 1 - label) * FRAME;
      const target = frames[frame + LEVEL]!;
      const reached = target === level ? way + Math.min(stretch, ARM_UNITS) : levels[target]!;
      frames[frame + REACHED] = 1;
      if (reached > frames[frame + WAY]!) frames[frame + WAY] = reached;
    }

    /** Of the branch at `here`, which has been read, to `label` or further out. */
    function exits(here: number, label: number): void {
      if (loopFrame >= 0 && depth - 1 - label < loopFrame) note(here, site.exit, at, depth - 1 - loopFrame, loop);
    }

    function die(): void {
      closeStretch();
      dead = true;
    }

    push(opcode.block);
    while (depth > 0) {
      if (at >= bodyEnd) fail("a function ends within a block", at);
      const here = at;
      const op = bytes[at++]!;
      stretch += weights[op]!;
      switch (forms[op]) {
        case form.none:
          break;
        case form.leb:
          skip();
          break;
        case form.memory:
          skipMemory();
          break;
        case form.constI32:
          constant = s32();
          constantEnd = at;
          break;
        case form.four:
          at += 4;
          break;
        case form.eight:
          at += 8;
          break;
        case form.block:
          skipBlockType();
          if (op === opcode.loop) {
            closeStretch();
            push(op);
            if (++level === levels.length) {
              const grown = new Int32Array(levels.length * 2);
              grown.set(levels);
              levels = grown;
            }
            // Ways out of this loop begin, for those outside, where it began.
            levels[level - 1] = way;
            const frame = (depth - 1) * FRAME;
            frames[frame + LEVEL] = level;
            frames[frame + DEAREST] = dearest;
            frames[frame + OUTER] = loop;
            loop = loops++;
            frames[frame + NOTE] = note(at, site.loop, 0, 0, loop);
            sites[frames[frame + NOTE]! + 5] = here;
            frames[frame + BLOCK_TYPE] = bytes[here + 1]!;
            way = dearest = 0;
            dead = simple = false;
            closed = plain = true;
            loopFrame = depth - 1;
          } else if (op === opcode.if) {
            plain = false;
            closeStretch();
            push(op);
            openStretch();
          } else {
            plain = false;
            if (op === opcode.try) catches = true;
            push(op);
          }
          break;
        case form.control:
          switch (op) {
            case opcode.end: {
              const frame = --depth * FRAME;
              const kind = frames[frame + KIND]!;
              if (kind === opcode.loop) {
                closeStretch();
                const index = frames[frame + NOTE]!;
                sites[index + 3] = dearest + LOOP_UNITS;
                sites[index + 6] = loops === loop + 1 ? 1 : 0;
                note(at, site.loopEnd, 0, 0, loop);
                // The body can stand in its loop several times over when a branch back to the head ends it. Behind
                // `br` the next copy takes its place; behind `br_if` it is nested, which moves labels further out.
                if (plain && lastBranch === here - 2 && here - 2 - sites[index]! < UNROLLED_BYTES) {
                  const nests = closed && frames[frame + BLOCK_TYPE] === 0x40;
                  if (bytes[here - 2] === opcode.br || nests) sites[index + 2] = here - 2;
                }
                loopFrame = -1;
                level -= 1;
                way = levels[level]!;
                dearest = frames[frame + DEAREST]!;
                loop = frames[frame + OUTER]!;
                // A loop whose end nothing gets to may still have been left by a branch to a label further out.
                if (!dead) openStretch();
              } else {
                const missing = kind === opcode.if && frames[frame + DEAD] === 0;
                if (missing || frames[frame + REACHED] === 1 || kind !== opcode.block) {
                  closeStretch();
                  let met = frames[frame + WAY]!;
                  if (missing) met = Math.max(met, frames[frame + BEGAN]!);
                  way = dead ? met : Math.max(way, met);
                  if (dead && (missing || frames[frame + REACHED] === 1)) dead = false;
                  if (way > dearest) dearest = way;
                  if (depth > 0) openStretch();
                }
              }
              break;
            }
            case opcode.else:
            case opcode.catch:
            case opcode.catchAll: {
              if (op === opcode.catch) skip();
              if (depth < 2) fail("an arm stands outside of a block", here);
              const frame = (depth - 1) * FRAME;
              closeStretch();
              if (!dead) {
                frames[frame + REACHED] = 1;
                if (way > frames[frame + WAY]!) frames[frame + WAY] = way;
              }
              // The arm before it has been counted; what is left of `if` is a block.
              if (op === opcode.else) frames[frame + KIND] = opcode.block;
              way = op === opcode.else ? frames[frame + BEGAN]! : Math.max(way, frames[frame + BEGAN]!);
              dead = frames[frame + DEAD] === 1;
              openStretch();
              break;
            }
            case opcode.delegate: {
              skip();
              if (depth < 2) fail("delegate stands outside of a block", here);
              closeStretch();
              const frame = --depth * FRAME;
              if (frames[frame + REACHED] === 1) {
                way = Math.max(way, frames[frame + WAY]!);
                dead = false;
              }
              openStretch();
              break;
            }
            case opcode.tryTable: {
              catches = true;
              plain = false;
              skipBlockType();
              const clauses = items();
              for (let index = 0; index < clauses; index++) {
                const kind = bytes[at++]!;
                if (kind > 3) fail(`0x${kind.toString(16)} is no catch clause`, at - 1);
                if (kind < 2) skip();
                branch(u32());
              }
              push(op);
              break;
            }
            case opcode.br:
            case opcode.brIf: {
              const label = u32();
              const wasClosed: boolean = closed;
              branch(label);
              exits(here, label);
              if (label === 0 && depth - 1 === loopFrame && bytes[at] === opcode.end) {
                lastBranch = here;
                closed = wasClosed;
              }
              if (op === opcode.br) die();
              break;
            }
            case opcode.brOnNull:
            case opcode.brOnNonNull: {
              const label = u32();
              branch(label);
              exits(here, label);
              break;
            }
            case opcode.brTable: {
              let outermost = 0;
              for (let index = items(); index >= 0; index--) {
                const label = u32();
                branch(label);
                if (label > outermost) outermost = label;
              }
              exits(here, outermost);
              die();
              break;
            }
            case opcode.call: {
              const callee = u32();
              calls();
              note(here, site.call, at, callee, loop);
              break;
            }
            case opcode.callIndirect:
              skip();
              skip();
              simple = false;
              calls();
              note(here, site.call, at, -1, loop);
              break;
            case opcode.callRef:
              skip();
              simple = false;
              calls();
              note(here, site.call, at, -1, loop);
              break;
            case opcode.return:
              note(here, site.leave, 0, 0, loop);
              die();
              break;
            case opcode.unreachable:
              die();
              break;
            case opcode.selectTyped:
              for (let index = items(); index > 0; index--) skipValueType();
              break;
            default:
              // What is left leaves the function: tail calls and throws.
              if (op !== opcode.throwRef) skip();
              if (op === opcode.returnCallIndirect) skip();
              simple = false;
              if (op !== opcode.throw && op !== opcode.rethrow && op !== opcode.throwRef) calls();
              note(here, site.leave, 0, 0, loop);
              die();
          }
          break;
        case form.prefix:
          prefixed(op, here);
          break;
        default:
          fail(`opcode 0x${op.toString(16)} is not known`, here);
      }
      if (at > bodyEnd) fail("a function ends within an instruction", here);
    }
    if (at !== bodyEnd) fail("a function goes on behind its end", at);
    closeStretch();
    return {
      start,
      code,
      end: bodyEnd,
      groups,
      groupsAt,
      locals,
      firstSite,
      lastSite: length,
      loops,
      units: dearest,
      catches,
      simple,
      callsAtOnce,
      enters,
      hasPieces,
    };

    function prefixed(prefix: number, here: number): void {
      const code = u32();
      const unknown = () => fail(`opcode 0x${prefix.toString(16)} 0x${code.toString(16)} is not known`, here);
      if (prefix === opcode.misc) {
        const numbers = miscForms[code] ?? unknown();
        for (let index = 0; index < numbers; index++) skip();
        if (code < misc.memoryInit) return;
        if (code === misc.tableGrow) {
          stretch += GROW_UNITS;
          return;
        }
        const bulk = code === misc.memoryFill || code === misc.memoryCopy || code === misc.memoryInit;
        if (bulk && constantEnd === here && constant >= 0 && constant <= SMALL_BYTES) {
          stretch += 8 + (constant >> 6);
          return;
        }
        if (!bulk && code !== misc.tableInit && code !== misc.tableCopy && code !== misc.tableFill) return;
        simple = false;
        hasPieces = true;
        stretch += weights[opcode.call]! + SMALL_UNITS;
        calls();
        note(here, site.piece, at, (prefix << 8) | code, loop);
      } else if (prefix === opcode.simd) {
        const shape = simdForm(code) ?? unknown();
        if (shape.memory) skipMemory();
        at += shape.bytes;
      } else if (prefix === opcode.atomic) {
        stretch += ATOMIC_UNITS;
        if (code === 3) at += 1;
        else if (code <= 2 || (code >= 0x10 && code <= 0x4e)) skipMemory();
        else unknown();
        if (code === 1 || code === 2) {
          simple = false;
          calls();
          note(here, site.piece, at, (prefix << 8) | code, loop);
        }
      } else {
        const shape = gcForms[code] ?? unknown();
        stretch += OBJECT_UNITS;
        if (MAKES_OBJECT.has(code)) collected = true;
        if (shape === "branch") {
          at += 1;
          const label = u32();
          skipHeapType();
          skipHeapType();
          branch(label);
          exits(here, label);
        } else {
          if (shape !== "none") skip();
          if (shape === "lebs") {
            if (code === 8) stretch += Math.min(u32(), UNITS_MAX);
            else skip();
          }
          if (countedArrays.has(code)) {
            simple = false;
            calls();
            note(here, site.array, 0, 0, loop);
          }
        }
      }
    }
  }

  const functions: FunctionScan[] = [];
  for (let index = 0; index < count; index++) {
    const size = u32();
    if (size > end - at) fail("a function is cut off", at);
    functions.push(scanFunction(at, at + size));
  }
  if (at !== end) fail("the code section goes on behind its last function", at);
  return { functions, sites: sites.subarray(0, length), collected };
}

/** So that the counter cannot run round: a charge is far less than half of its range. */
const UNITS_MAX = 1 << 24;

/** The numbers of a frame. */
const KIND = 0;
const REACHED = 1;
/** The dearest way to the label at its end. */
const WAY = 2;
/** The way to its beginning, and whether nothing got there. */
const BEGAN = 3;
const DEAD = 4;
/** How many loops it stands in, itself included. */
const LEVEL = 5;
/** Of loops: their site, what was dearest outside, the loop outside, and their block type. */
const NOTE = 6;
const DEAREST = 7;
const OUTER = 8;
const BLOCK_TYPE = 9;
const FRAME = 10;
