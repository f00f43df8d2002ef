/** A real password store: pass, with a GnuPG and an agent of its own, locked and unlocked at will. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BARE_ENV, type Env } from './environment.ts';

/** The passphrase of its key, which its pinentry types. */
const PASSPHRASE = 'correct horse';

/** What its pinentry does when the agent asks for the passphrase. */
export type Person = 'answers' | 'cancels' | 'is away';

export class PasswordStore {
  readonly env: Env;
  readonly #home: string;

  private constructor(home: string) {
    this.#home = home;
    this.env = {
      ...BARE_ENV,
      HOME: home,
      GNUPGHOME: join(home, 'gnupg'),
      PASSWORD_STORE_DIR: join(home, 'store'),
    };
  }

  /** Its home is short, since gpg-agent's socket is below it. */
  static make(): PasswordStore {
    const store = new PasswordStore(mkdtempSync('/tmp/pass-'));
    store.#setUp();
    return store;
  }

  #setUp(): void {
    const { GNUPGHOME = '' } = this.env;
    mkdirSync(GNUPGHOME, { mode: 0o700 });
    const pinentry = join(this.#home, 'pinentry');
    writeFileSync(pinentry, PINENTRY, { mode: 0o700 });
    writeFileSync(join(GNUPGHOME, 'gpg-agent.conf'), `pinentry-program ${pinentry}\n`);
    this.setPerson('answers');
    const unlocked = ['--batch', '--pinentry-mode', 'loopback', '--passphrase', PASSPHRASE];
    const id = 'glm-token test <test@localhost>';
    this.#run(['gpg', ...unlocked, '--quick-generate-key', id, 'default', 'default', 'never']);
    this.#run(['pass', 'init', id]);
    this.lock();
  }

  insert(name: string, text: string): void {
    this.#run(['pass', 'insert', '--multiline', '--force', name], text);
  }

  setPerson(person: Person): void {
    writeFileSync(join(this.#home, 'person'), person);
  }

  /** How often the agent has asked for the passphrase. */
  get questions(): number {
    try {
      return readFileSync(join(this.#home, 'questions'), 'utf8').length;
    } catch {
      return 0;
    }
  }

  /** Ends the agent, and with it what it remembers and a prompt that is open; gpg starts another one. */
  lock(): void {
    this.#run(['gpgconf', '--kill', 'gpg-agent']);
  }

  stop(): void {
    this.lock();
    rmSync(this.#home, { recursive: true });
  }

  #run([file = '', ...args]: string[], input = ''): void {
    const { status, stderr, error } = spawnSync(file, args, { env: this.env, input });
    if (status !== 0) throw error ?? new Error(`${file}: ${stderr}`);
  }
}

/** Speaks Assuan with gpg-agent, as a pinentry does, for a person who takes two seconds. */
const PINENTRY = `#!/bin/sh
home=\${0%/*}
echo 'OK Pleased to meet you'
while read -r command rest; do
  case $command in
    GETPIN)
      printf x >>"$home/questions"
      case $(cat "$home/person") in
        'is away') cat ;;
        cancels) echo 'ERR 83886179 Operation cancelled <Pinentry>' ;;
        *) sleep 2; echo 'D ${PASSPHRASE}'; echo OK ;;
      esac ;;
    BYE) echo OK; exit ;;
    *) echo OK ;;
  esac
done
`;
