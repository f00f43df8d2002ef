/** Reads small regular files: no FIFO, device or huge file can hang the program or fill its memory. */

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

// Windows has neither of these.
const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants;

/** An errno of our own, for what is not a regular file or is too large. */
export const IRREGULAR = 'EIRREGULAR';

/**
 * The text of a regular file.
 *
 * @param onOpen looks at the file that was opened, and may throw
 * @throws NodeJS.ErrnoException as the system has it, `ELOOP` for a symbolic link, or {@link IRREGULAR}
 */
export function readRegularFile(
  path: string,
  maxBytes: number,
  { followLinks = false, onOpen = (_fd: number, _stats: Stats): void => {} } = {},
): string {
  // Opened without blocking, or a FIFO would wait for somebody to write to it.
  const fd = openSync(path, O_RDONLY | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW));
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw irregular('not a regular file');
    onOpen(fd, stats);
    return readDescriptor(fd, maxBytes, stats.size);
  } finally {
    closeSync(fd);
  }
}

/**
 * What can be read from an open descriptor, which may be a pipe.
 *
 * @param expectedBytes how much it seems to be: the most that is allowed would cost time to clear
 */
export function readDescriptor(fd: number, maxBytes: number, expectedBytes = maxBytes): string {
  let buffer = Buffer.alloc(Math.min(maxBytes, expectedBytes) + 1);
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      const full = buffer;
      buffer = Buffer.alloc(Math.min(2 * full.length, maxBytes + 1));
      full.copy(buffer);
      full.fill(0);
    }
    const count = readSync(fd, buffer, length, buffer.length - length, null);
    length += count;
    if (length > maxBytes) throw irregular('too large');
    if (count > 0) continue;
    const text = buffer.toString('utf8', 0, length);
    buffer.fill(0);
    return text;
  }
}

const irregular = (message: string) => Object.assign(new Error(message), { code: IRREGULAR });
