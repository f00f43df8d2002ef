/**
 * The scenes of the pictures, played by the real program, a real keychain, and gptel in a real Emacs;
 * only the service is a stand-in. Run on the stage, it prints them as JSON.
 */

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { english, type Messages } from '../../src/messages/en.ts';
import { chinese } from '../../src/messages/zh.ts';
import { LANGUAGES, type Language } from '../../src/settings.ts';
import { makeCertificate } from '../support/certificate.ts';
import { Display } from '../support/display.ts';
import { type Env, found, ROOT } from '../support/environment.ts';
import { GlmServer, type Seen } from '../support/glm-server.ts';
import { KeychainSession } from '../support/keychain.ts';
import { type Answers, run, runOnTerminal } from '../support/program.ts';
import { COLUMNS, textOf } from './screen.ts';

export interface Scene {
  readonly name: 'setup' | 'chat' | 'clock';
  readonly language: Language;
  /** What was shown, as text, without what is different each time. */
  readonly transcript: string;
  /** What a terminal was sent, or the SVG of Emacs' frame, if it was drawn. */
  readonly shown: string;
}

const HOST = 'open.bigmodel.cn';
const [ID, SECRET] = ['0123456789abcdef0123456789abcdef', 'MadeUpSecret1234'];
const HOUR_MS = 3_600_000;

/** What is said in the chat. The answers are true: they tell what the stand-in saw of the request. */
const CHAT: Record<Language, { prompts: string[]; answers: ((ageMs: number) => string)[] }> = {
  en: {
    prompts: ['How do you know that this request is mine?', 'And this one?'],
    answers: [
      (ageMs) =>
        `It carries a token that your key signed ${ageMs} ms ago. The token expires in three minutes. I have not seen the key's secret: it is in your keychain.`,
      (ageMs) =>
        `It carries another token, signed ${ageMs} ms ago. Every request has one of its own, so none is ever stale.`,
    ],
  },
  zh: {
    prompts: ['你怎么知道这个请求是我发的？', '那这一个呢？'],
    answers: [
      (ageMs) =>
        `请求带着一个令牌，是 ${ageMs} 毫秒前用你的 key 签发的，三分钟后失效。我没有见过 key 的 secret：它一直在你的钥匙串里。`,
      (ageMs) =>
        `它带着另一个令牌，${ageMs} 毫秒前刚签发。每个请求都有自己的令牌，所以不会用到过期的。`,
    ],
  },
};

/** The shell's prompt, as it is set and as it is shown. */
const [PS1, PROMPT] = ['\\[\\e[32m\\]$\\[\\e[0m\\] ', '\x1b[32m$\x1b[0m '];

/** A token keeps its beginning alone: nobody reads more of it, and it should not look like a leak. */
const shorten = (text: string): string =>
  text.replace(/(eyJ[\w-]{32})[\w-]*\.[\w-]+\.[\w-]+/g, '$1…');

/** Without what is different each time: tokens are cut already. */
const mask = (text: string): string =>
  text.replace(/\d+ (ms|毫秒)/g, 'N $1').replace(/\bv?\d+\.\d+\.\d+\b/g, 'VERSION');

/** What the scenes of one language are played with. */
interface Cast {
  readonly language: Language;
  readonly session: KeychainSession;
  readonly glm: GlmServer;
  readonly env: Env;
}

async function play(cast: Cast): Promise<Scene[]> {
  const messages: Messages = { en: english, zh: chinese }[cast.language]('glm-token');
  await cast.session.deleteKeys();
  const choice = messages.askChoice(1);
  const setup = await playTerminal(cast, 'setup', [
    [PROMPT, 'glm-token setup'],
    [choice, '1'],
    [choice, '1'],
    [messages.askKey, `${ID}.${SECRET}`],
    [`[${messages.yesOrNo(true)}] `, 'y'],
    [PROMPT, 'glm-token print'],
  ]);
  const chat = await playChat(cast);
  cast.glm.skewMs = HOUR_MS;
  const clock = await playTerminal(cast, 'clock', [[PROMPT, 'glm-token doctor']]);
  return [setup, chat, clock];
}

/** What is typed into a shell and its commands, and what they say. */
async function playTerminal(
  { language, env }: Cast,
  name: Scene['name'],
  answers: Answers,
): Promise<Scene> {
  const shell = `stty cols ${COLUMNS} rows 60; exec bash --norc --noprofile -i`;
  const { stdout } = await runOnTerminal(['sh', '-c', shell], [...answers, [PROMPT, 'exit']], {
    ...env,
    PS1,
    INPUTRC: '/dev/null',
    NO_COLOR: '',
  });
  const shown = shorten(stdout.slice(0, stdout.lastIndexOf(`${PROMPT}exit`)));
  return { name, language, transcript: mask(await textOf(shown)), shown };
}

/** A chat with gptel, set up as the program says. Without a graphical Emacs, no frame is drawn. */
async function playChat({ language, session, env }: Cast): Promise<Scene> {
  const directory = mkdtempSync(join(session.home, 'chat-'));
  const [init, text, frame] = ['init.el', 'chat', 'frame.svg'].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  const lines = await run(['glm-token', 'setup', 'emacs'], { env });
  writeFileSync(init, lines.stdout);
  const { status, stderr } = await run(
    [
      ...(graphicalEmacs ? [graphicalEmacs, '-Q'] : [found.emacs[0] ?? '', '-Q', '--batch']),
      ...found.elpa.flatMap((path) => ['-L', path]),
      ...['-l', `${ROOT}/test/pictures/chat.el`],
    ],
    {
      env: {
        ...env,
        GLM_PICTURE_INIT: init,
        GLM_PICTURE_PROMPTS: JSON.stringify(CHAT[language].prompts),
        GLM_PICTURE_TEXT: text,
        ...(display ? { ...display.env, GLM_PICTURE_FRAME: frame } : {}),
      },
    },
  );
  if (status !== 0) throw new Error(`Emacs failed:\n${stderr}`);
  const transcript = mask(readFileSync(text, 'utf8'));
  return {
    name: 'chat',
    language,
    transcript,
    shown: display ? readFileSync(frame, 'utf8') : '',
  };
}

const [graphicalEmacs] = process.argv.slice(2);
const display = graphicalEmacs ? await Display.start() : undefined;
const certificate = await makeCertificate({ names: [HOST] });
const session = await KeychainSession.start();
try {
  const trust = { NODE_EXTRA_CA_CERTS: certificate.file, CURL_CA_BUNDLE: certificate.file };
  const scenes: Scene[] = [];
  for (const language of LANGUAGES) {
    const answers = [...CHAT[language].answers];
    const reply = ({ ageMs = 0, body }: Seen) =>
      JSON.parse(body).max_tokens === 1 ? '.' : (answers.shift()?.(ageMs) ?? '');
    const glm = await GlmServer.start({ [ID]: SECRET }, { tls: certificate, port: 443, reply });
    const env = { ...session.env, ...trust, GLM_TOKEN_LANG: language };
    scenes.push(...(await play({ language, session, glm, env })));
    await glm.stop();
  }
  process.stdout.write(JSON.stringify(scenes));
} finally {
  await display?.stop();
  await session.stop();
  certificate.remove();
}
