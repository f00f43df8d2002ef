/** Holds a client to the framing: what is no frame, or too long for one, ends the connection. */

import { Transform } from 'node:stream';
import { GlmTokenError } from '../core/errors.ts';

/** Longest message that is accepted, in bytes. The longest sensible one, a `store`, has some thousand. */
const MAX_MESSAGE_BYTES = 1 << 20;

/** Longest header that is accepted, in bytes; ours is one line. */
const MAX_HEADER_BYTES = 1024;

const END_OF_HEADER = '\r\n\r\n';

export interface FrameLimits {
  /** Input waits for it, so that a client which floods is held back and not fed memory. */
  readonly room: () => Promise<void>;
  /** How long a frame may take to come, in milliseconds; any time by default. */
  readonly patienceMs?: number | undefined;
}

/** Passes frames on as they are. */
export function frameLimiter({ room, patienceMs }: FrameLimits): Transform {
  let header = '';
  /** Runs while a frame has begun and not ended. */
  let timer: NodeJS.Timeout | undefined;
  /** Bytes of the current message that are still to come. */
  let missing = 0;

  /** Returns whether a frame has ended in a chunk. */
  const check = (chunk: Buffer): boolean => {
    let at = 0;
    let hasEndedOne = false;
    while (at < chunk.length) {
      if (missing > 0) {
        const skipped = Math.min(missing, chunk.length - at);
        missing -= skipped;
        at += skipped;
        hasEndedOne ||= missing === 0;
        continue;
      }
      const before = header.length;
      header += chunk.toString('latin1', at, at + MAX_HEADER_BYTES + 1);
      const end = header.indexOf(END_OF_HEADER, Math.max(0, before - END_OF_HEADER.length));
      if (end < 0) {
        if (header.length > MAX_HEADER_BYTES) throw new GlmTokenError('clientUnintelligible');
        return hasEndedOne;
      }
      const length = /^(?:.*\r\n)?content-length: *(\d{1,15})(?:\r\n|$)/is.exec(
        header.slice(0, end),
      )?.[1];
      if (length === undefined) throw new GlmTokenError('clientUnintelligible');
      if (Number(length) > MAX_MESSAGE_BYTES) throw new GlmTokenError('clientMessageTooLong');
      missing = Number(length);
      at += end + END_OF_HEADER.length - before;
      header = '';
    }
    return hasEndedOne;
  };

  /** Gives the frame that is on its way its time, from its first byte on. */
  const watch = (hasEndedOne: boolean): void => {
    const isBetween = header === '' && missing === 0;
    if (isBetween || hasEndedOne) {
      clearTimeout(timer);
      timer = undefined;
    }
    if (isBetween || patienceMs === undefined || timer) return;
    const late = () => limiter.destroy(new GlmTokenError('clientUnintelligible'));
    timer = setTimeout(late, patienceMs).unref();
  };

  const limiter = new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      try {
        watch(check(chunk));
        await room();
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
    destroy(error, done) {
      clearTimeout(timer);
      done(error);
    },
  });
  return limiter;
}
