/** Reads small regular files: no FIFO, device or huge file can hang the program or fill its memory. */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

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
  { followLinks = false, onOpen = (_fd: number): void => {} } = {},
): string {
  // Opened without blocking, or a FIFO would wait for somebody to write to it.
  const fd = openSync(path, O_RDONLY | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW));
  try {
    if (!fstatSync(fd).isFile()) throw irregular('not a regular file');
    onOpen(fd);
    return readDescriptor(fd, maxBytes);
  } finally {
    closeSync(fd);
  }
}

/** What can be read from an open descriptor, which may be a pipe. */
export function readDescriptor(fd: number, maxBytes: number): string {
  const buffer = Buffer.alloc(maxBytes + 1);
  let length = 0;
  for (let count = 1; count > 0; length += count) {
    count = readSync(fd, buffer, length, buffer.length - length, null);
  }
  if (length > maxBytes) throw irregular('too large');
  const text = buffer.toString('utf8', 0, length);
  buffer.fill(0, 0, length);
  return text;
}

const irregular = (message: string) => Object.assign(new Error(message), { code: IRREGULAR });
