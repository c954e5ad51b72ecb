import { isIP } from 'node:net'
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os'
import { version } from './version.ts'

type Environment = Record<string, string | undefined>

/** Variables of clouds that stand for one of the launcher's, unless that is set too. */
const aliases: Readonly<Record<string, string>> = {
  HF_MODEL_ID: 'MODEL_ID',
  HF_MODEL_REVISION: 'REVISION',
  SM_NUM_GPUS: 'NUM_SHARD',
  HF_MODEL_QUANTIZE: 'QUANTIZE',
  HF_MODEL_TRUST_REMOTE_CODE: 'TRUST_REMOTE_CODE',
  AIP_HTTP_PORT: 'PORT',
}

/** Many shells and every container export the name of the machine as HOSTNAME: only an address is meant for us. */
export function dropMachineName(env: Environment): void {
  if (isIP(env['HOSTNAME'] ?? '') === 0) delete env['HOSTNAME']
}

/** What SageMaker and Vertex AI set, under the names that the options have. */
export function readAliases(env: Environment): void {
  for (const [from, to] of Object.entries(aliases)) if (env[from] !== undefined) env[to] ??= env[from]
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`

/** What this runs on, a fact a line: for bug reports. */
export function runtimeReport(env: Environment): string {
  const facts = {
    Loquent: version,
    Node: `${process.version} (V8 ${process.versions.v8})`,
    Target: `${platform()}-${arch()} (${release()})`,
    Processor: `${cpus()[0]?.model ?? 'N/A'}, ${availableParallelism()} threads`,
    Memory: `${gibibytes(totalmem())}, ${gibibytes(freemem())} free`,
    'Commit sha': env['GIT_SHA'] || 'N/A',
    'Docker label': env['DOCKER_LABEL'] || 'N/A',
  }
  const lines = Object.entries(facts).map(([name, value]) => `${name}: ${value}\n`)
  return `Runtime environment:\n${lines.join('')}`
}
