import type { Life, Prepared } from '../record.js'
import type { Live, Report } from './backend.js'
import type { Records } from './records.js'

/** The option `maxPerPrincipal`: how many sessions one principal may have at a time. */
export class Limit {
  readonly #records: Records
  readonly #max: number

  constructor (records: Records, max: number) {
    this.#records = records
    this.#max = max
  }

  /** Where sessions are counted, a login comes after all that it finds, whatever the clocks of other processes say. */
  async asYoungest (life: Life, { principal }: Prepared): Promise<Life> {
    if (!this.#counts(principal)) return life
    const others = await this.#records.list(principal)
    return { ...life, rank: Math.max(life.authenticatedAt, ...others.map((other) => rankOf(other) + 1)) }
  }

  /**
   * Ends the oldest sessions of a principal over the limit. Each login looks after its own record is in, so no two both
   * pass. It is in, and its token must be handed out: what fails here is left to the next login.
   */
  async keep ({ principal }: Live, report: Report): Promise<void> {
    if (!this.#counts(principal)) return
    try {
      const all = await this.#records.list(principal)
      const youngestFirst = all.toSorted((a, b) => rankOf(b) - rankOf(a) || (originOf(a) < originOf(b) ? -1 : 1))
      // One that is being renewed is there twice, and counts once.
      const kept = new Set([...new Set(youngestFirst.map(originOf))].slice(0, this.#max))
      for (const live of youngestFirst) {
        if (!kept.has(originOf(live)) && await this.#records.end(live)) report({ type: 'destroyed', reason: 'limit', id: live.id, principal })
      }
    } catch (error) {
      report({ type: 'failed', reason: 'limit', principal, detail: (error as Error).message })
    }
  }

  #counts (principal: string | undefined): principal is string {
    return principal !== undefined && this.#max !== Infinity
  }
}

function originOf ({ id, life: { origin } }: Live): string {
  return origin ?? id
}

function rankOf ({ life: { rank, authenticatedAt } }: Live): number {
  return rank ?? authenticatedAt
}
