import type { MetricObject, MetricObjectWithValues, MetricValueWithName, Registry } from 'prom-client'
import { durationBounds } from '../base/durations.ts'

/** Durations by bucket (up to each bound, then beyond) and their sum in seconds. */
interface Durations {
  readonly counts: readonly number[]
  readonly sum: number
}

interface MethodReading {
  readonly count: number
  readonly failures: number
  readonly inference: Durations
  readonly forward: Durations
  readonly decode: Durations
  readonly filter: Durations
}

/** What the engine counted of its steps. */
export interface BatchReading {
  readonly methods: { readonly prefill: MethodReading; readonly decode: MethodReading }
  /** How often 1, 2, ... requests started together. */
  readonly started: readonly number[]
  /** How often they joined others. */
  readonly joined: number
}

type Values = MetricValueWithName<string>[]

/** A metric that was counted elsewhere: its values are those of the last reading. Absent before the first. */
class Counted {
  readonly name: string
  readonly #object: Omit<MetricObject, 'collect'>
  readonly #values: (reading: BatchReading) => Values
  reading: BatchReading | undefined

  constructor(name: string, type: string, help: string, values: (reading: BatchReading) => Values) {
    this.name = name
    // The package declares its metric types as an enum of numbers, but writes and reads their names.
    this.#object = { name, help, type: type as unknown as MetricObject['type'], aggregator: 'sum' }
    this.#values = values
  }

  async get(): Promise<Omit<MetricObjectWithValues<MetricValueWithName<string>>, 'collect'>> {
    return { ...this.#object, values: this.reading ? this.#values(this.reading) : [] }
  }

  reset(): void {
    this.reading = undefined
  }
}

type Method = keyof BatchReading['methods']
const methods: readonly Method[] = ['prefill', 'decode']

const each = (values: (reading: MethodReading, labels: { readonly method: Method }) => Values) => (all: BatchReading) =>
  methods.flatMap((method) => values(all.methods[method], { method }))

const counter = (name: string, help: string, value: (m: MethodReading) => number): Counted =>
  new Counted(
    name,
    'counter',
    help,
    each((reading, labels) => [{ metricName: name, labels, value: value(reading) }]),
  )

/** Cumulative buckets with their bounds, then all, their sum and their count. */
function histogramValues(
  name: string,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
  labels: Readonly<Record<string, string>>,
): Values {
  let below = 0
  const buckets = bounds.map((le, i) => {
    below += counts[i] ?? 0
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below }
  })
  const count = counts.reduce((a, b) => a + b, 0)
  const all = { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count }
  const total = { metricName: `${name}_sum`, labels, value: sum }
  return [...buckets, all, total, { metricName: `${name}_count`, labels, value: count }]
}

const seconds = (name: string, help: string, durations: (m: MethodReading) => Durations): Counted =>
  new Counted(
    name,
    'histogram',
    `${help}, in seconds`,
    each((reading, labels) => {
      const { counts, sum } = durations(reading)
      return histogramValues(name, durationBounds, counts, sum, labels)
    }),
  )

/** Buckets of the sizes of batches: 1, 2, ... */
const sizes = Array.from({ length: 1024 }, (_, i) => i + 1)

/** The reference server's metrics of batches, in a registry; returns what shows a reading. */
export function batchMetrics(registry: Registry): (reading: BatchReading) => void {
  const all = [
    counter('tgi_batch_inference_count', 'Calls of the backend', (m) => m.count),
    counter('tgi_batch_inference_success', 'Calls of the backend that succeeded', (m) => m.count - m.failures),
    counter('tgi_batch_inference_failure', 'Calls of the backend that failed', (m) => m.failures),
    seconds('tgi_batch_inference_duration', 'A whole step', (m) => m.inference),
    seconds('tgi_batch_forward_duration', 'The backend in a step', (m) => m.forward),
    seconds('tgi_batch_decode_duration', 'Making tokens of what the backend gave', (m) => m.decode),
    seconds('tgi_batch_filter_duration', 'Telling tokens and letting go of ended requests', (m) => m.filter),
    new Counted('tgi_batch_next_size', 'histogram', 'Requests that started together', ({ started }) => {
      const sum = started.reduce((total, times, i) => total + times * (i + 1), 0)
      return histogramValues('tgi_batch_next_size', sizes, started, sum, {})
    }),
    new Counted('tgi_batch_concat', 'counter', 'Times that requests joined others', ({ joined }) => [
      { metricName: 'tgi_batch_concat', labels: { reason: 'chunking' }, value: joined },
    ]),
  ]
  for (const metric of all) registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0])
  return (reading) => {
    for (const metric of all) metric.reading = reading
  }
}
