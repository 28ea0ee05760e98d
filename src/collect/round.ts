import type { HostReader, ReadRequest, ReadResult } from '../host/port.ts';
import type { FileStat, Observed } from '../model.ts';
import { unreadable } from '../model.ts';

/** What a request will have answered once its round is over. */
export type Answer<T> = () => Observed<T>;

/**
 * One round trip to a host. Collectors declare what they need, and get at it when the round is over, so that however many
 * collectors there are, a host is asked once per round.
 */
export class Round {
  private readonly requests: ReadRequest[] = [];
  private results: readonly Observed<unknown>[] = [];
  private readonly known: Map<string, Answer<unknown>>;

  /** What an earlier round read is not read again. */
  constructor(earlier?: Round) {
    this.known = new Map(earlier?.known);
  }

  need<R extends ReadRequest>(request: R): Answer<ReadResult<R>> {
    const key = JSON.stringify(request);
    let answer = this.known.get(key);
    if (answer === undefined) {
      const index = this.requests.push(request) - 1;
      answer = () => this.results[index] ?? unreadable('it was not read');
      this.known.set(key, answer);
    }
    // The reader answers each request with the result of its kind, in order.
    return answer as Answer<ReadResult<R>>;
  }

  text(path: string): Answer<string> {
    return this.need({ kind: 'text', path });
  }

  stat(path: string): Answer<FileStat> {
    return this.need({ kind: 'stat', path });
  }

  async read(reader: HostReader): Promise<void> {
    this.results = await reader.observe(this.requests);
  }
}
