import type { Cursor } from './cursor.ts'
import { maxTensors } from './stored.ts'

/** Longest pickle read; about two hundred bytes a tensor are usual. */
export const maxPickleBytes = 2 ** 25
/** Values made, of which a tensor takes about 25. */
const maxValues = 8 * maxTensors
const maxGlobalLength = 128
const maxStringBytes = 2 ** 16
/** Bytes of the longest integer: the magic number of old checkpoints has ten. */
const maxIntegerBytes = 16

export type Pickled = null | boolean | number | bigint | string | Tuple | List | Dict | Name | object

export class Tuple {
  readonly items: readonly Pickled[]
  constructor(items: readonly Pickled[]) {
    this.items = items
  }
}

export class List {
  readonly items: Pickled[] = []
}

export class Dict {
  readonly entries = new Map<string, Pickled>()
}

/** A function or class that a pickle names; it is never looked up. */
export class Name {
  readonly path: string
  constructor(path: string) {
    this.path = path
  }
}

/** What a pickle may ask for. Each refuses, through the cursor, what it does not know. */
export interface PickleWorld {
  /** Names that may appear, whether called or not. */
  knows(path: string): boolean
  call(path: string, args: readonly Pickled[]): Pickled
  /** What stands behind a persistent id. */
  find(id: readonly Pickled[]): Pickled
}

/**
 * Reads one pickle of protocol 2 from `cursor`, up to its end: plain values, and of anything else only what `world` makes.
 * Pickle is a language, and an unpickler that looks names up lets a file run what it wants; here a name is a
 * string that `world` compares with those it knows. Opcodes are those PyTorch writes (Python's pickletools lists them all).
 * Throws `weights.malformed`.
 */
export function unpickle(cursor: Cursor, world: PickleWorld): Pickled {
  const machine = new Machine(cursor, world)
  if (cursor.u8() !== 0x80 || cursor.u8() !== 2) cursor.fail('no pickle of protocol 2')
  for (;;) {
    const from = cursor.offset
    const code = cursor.u8()
    if (code === stop) return machine.pop()
    const operation = operations.get(code)
    if (!operation) cursor.fail(`pickle opcode 0x${code.toString(16)} is not read`, from)
    operation(machine)
  }
}

class Machine {
  readonly cursor: Cursor
  readonly world: PickleWorld
  readonly memo = new Map<number, Pickled>()
  readonly #stack: Pickled[] = []
  readonly #marks: number[] = []
  #made = 0

  constructor(cursor: Cursor, world: PickleWorld) {
    this.cursor = cursor
    this.world = world
  }

  push(value: Pickled): void {
    if (++this.#made > maxValues) this.cursor.fail(`a pickle of more than ${maxValues} values`)
    this.#stack.push(value)
  }

  mark(): void {
    if (++this.#made > maxValues) this.cursor.fail(`a pickle of more than ${maxValues} values`)
    this.#marks.push(this.#stack.length)
  }

  pop(): Pickled {
    return this.take(1)[0]!
  }

  top(): Pickled {
    const value = this.pop()
    this.#stack.push(value)
    return value
  }

  /** Takes the last `count` values, none from below a mark. */
  take(count: number): Pickled[] {
    if (this.#stack.length - count < (this.#marks.at(-1) ?? 0)) this.cursor.fail('the pickle takes more than there is')
    return this.#stack.splice(this.#stack.length - count)
  }

  takeToMark(): Pickled[] {
    const at = this.#marks.pop()
    return at === undefined ? this.cursor.fail('the pickle has no mark here') : this.#stack.splice(at)
  }

  remember(index: number): void {
    this.memo.set(index, this.top())
  }

  recall(index: number): void {
    const value = this.memo.get(index)
    this.push(value === undefined ? this.cursor.fail(`the pickle has no memo ${index}`) : value)
  }

  setItems(pairs: readonly Pickled[]): void {
    const dict = this.top()
    if (!(dict instanceof Dict) || pairs.length % 2 !== 0) this.cursor.fail('the pickle sets items of no dict')
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i]
      if (typeof key !== 'string') this.cursor.fail('the pickle has a key that is no string')
      dict.entries.set(key, pairs[i + 1]!)
    }
  }

  append(values: readonly Pickled[]): void {
    const list = this.top()
    if (!(list instanceof List)) this.cursor.fail('the pickle appends to no list')
    for (const value of values) list.items.push(value)
  }

  name(): void {
    const path = `${this.#line()}.${this.#line()}`
    this.push(
      this.world.knows(path)
        ? new Name(path)
        : this.cursor.fail(`the pickle wants ${JSON.stringify(path)}, which no tensor needs`),
    )
  }

  call(): void {
    const [name, args] = this.take(2)
    if (!(name instanceof Name) || !(args instanceof Tuple)) this.cursor.fail('the pickle calls what cannot be called')
    this.push(this.world.call(name.path, args.items))
  }

  find(): void {
    const id = this.pop()
    this.push(id instanceof Tuple ? this.world.find(id.items) : this.cursor.fail('a persistent id is no tuple'))
  }

  /** Attributes of a dict (`_metadata` of a state dict) tell nothing of the tensors. */
  build(): void {
    this.pop()
    if (!(this.top() instanceof Dict)) this.cursor.fail('the pickle gives attributes to what has none')
  }

  integer(): void {
    const bytes = this.cursor.u8()
    if (bytes > maxIntegerBytes) this.cursor.fail(`an integer of ${bytes} bytes`)
    let value = 0n
    for (let i = 0; i < bytes; i++) value |= BigInt(this.cursor.u8()) << BigInt(8 * i)
    value = BigInt.asIntN(8 * bytes, value)
    const exact = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
    this.push(exact ? Number(value) : value)
  }

  text(): void {
    const bytes = this.cursor.u32()
    if (bytes > maxStringBytes) this.cursor.fail(`a string of ${bytes} bytes`)
    this.push(this.cursor.utf8('a string', bytes))
  }

  #line(): string {
    let line = ''
    for (let code = this.cursor.u8(); code !== 0x0a; code = this.cursor.u8()) {
      line += String.fromCharCode(code)
      if (line.length > maxGlobalLength) this.cursor.fail('a name that does not end')
    }
    return line
  }
}

const stop = 0x2e

const operations: ReadonlyMap<number, (machine: Machine) => void> = new Map([
  [0x28, (m: Machine) => m.mark()],
  // Values
  [0x4e, (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [0x4a, (m) => m.push(m.cursor.i32())],
  [0x4b, (m) => m.push(m.cursor.u8())],
  [0x4d, (m) => m.push(m.cursor.u16())],
  [0x8a, (m) => m.integer()],
  [0x58, (m) => m.text()],
  // Containers
  [0x7d, (m) => m.push(new Dict())],
  [0x5d, (m) => m.push(new List())],
  [0x29, (m) => m.push(new Tuple([]))],
  [0x74, (m) => m.push(new Tuple(m.takeToMark()))],
  [0x85, (m) => m.push(new Tuple(m.take(1)))],
  [0x86, (m) => m.push(new Tuple(m.take(2)))],
  [0x87, (m) => m.push(new Tuple(m.take(3)))],
  [0x73, (m) => m.setItems(m.take(2))],
  [0x75, (m) => m.setItems(m.takeToMark())],
  [0x61, (m) => m.append(m.take(1))],
  [0x65, (m) => m.append(m.takeToMark())],
  // What was made before
  [0x71, (m) => m.remember(m.cursor.u8())],
  [0x72, (m) => m.remember(m.cursor.u32())],
  [0x68, (m) => m.recall(m.cursor.u8())],
  [0x6a, (m) => m.recall(m.cursor.u32())],
  // What only `world` knows
  [0x63, (m) => m.name()],
  [0x52, (m) => m.call()],
  [0x51, (m) => m.find()],
  [0x62, (m) => m.build()],
])
