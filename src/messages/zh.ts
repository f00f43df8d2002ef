/** Every text that people read, in Chinese; `en.ts` is its type, so the compiler finds what is missing. */

import {
  type Account,
  DEFAULT_HOST,
  DEFAULT_PROFILE,
  shownAccount,
  shownHost,
} from '../core/account.ts';
import type {
  FileFault,
  GlmTokenError,
  KeyFault,
  ServiceFault,
  SocketFault,
} from '../core/errors.ts';
import type { Problem } from '../core/parsed-token.ts';
import { HIDDEN, type System, shellQuote } from '../core/text.ts';
import type { PlanName } from '../service/services.ts';
import type { KeyOrigin, StoreLabel } from '../stores/port.ts';
import {
  accountFlags,
  durationIn,
  type ErrorTexts,
  networkFault,
  oneLine,
  type SocketFaultText,
  shownIn,
  type Text,
} from './common.ts';
import type { Messages } from './en.ts';

/** `2 分 55 秒` */
const duration = durationIn({ day: '天', hour: '小时', minute: '分', second: '秒' });

/** `api.z.ai（profile work）` */
const accountTitle = (account: Account): string => {
  const { host, profile } = shownAccount(account);
  return profile === DEFAULT_PROFILE ? host : `${host}（profile ${profile}）`;
};

const storeTitle = ({ name, place }: StoreLabel): string =>
  ({
    keychain: `系统钥匙串（${place}）`,
    file: `加密文件（${place}）`,
    command: `输出 key 的命令（${place}）`,
    environment: '环境变量（GLM_API_KEY）',
  })[name];

const KEY_FAULTS: Record<KeyFault, string> = {
  empty: '没有输入 API key',
  long: '内容太长，不是 API key（id.secret）',
  url: '这是一个网址，不是 API key（id.secret）',
  token: '这是令牌（JWT），不是用来签发令牌的 API key（id.secret）',
  unprintable: '这不是 API key（id.secret）：含有空格或不可见字符',
  'no-dot': '这不是 API key（id.secret）：没有点号',
  dots: '这不是 API key（id.secret）：点号不止一个',
  'no-id': '这不是 API key（id.secret）：id 为空',
  'no-secret': '这不是 API key（id.secret）：secret 为空',
  'more-than-id': '除了 API key（id.secret）还有别的内容：请只给出 key，不要带上名称',
  'id-not-ascii': '这不是 API key（id.secret）：id 含有非 ASCII 字符',
};

const FILE_ACTIONS: Record<FileFault['action'], string> = {
  read: '读取',
  write: '写入',
  remove: '删除',
  protect: '保护',
};

const fileFaults = (
  parentVariable: string | undefined,
): Readonly<Record<string, readonly [reason: string, cure: string]>> => ({
  ENOSPC: ['磁盘已满', '请腾出空间后重试；原有内容没有改动'],
  EDQUOT: ['磁盘配额已用完', '请腾出空间后重试；原有内容没有改动'],
  EROFS: ['磁盘是只读的', parentVariable ? `请把 ${parentVariable} 设为可写的目录` : '请改为可写'],
  EACCES: ['没有权限', '请检查它的属主和权限'],
});

const KEY_IN_HISTORY = '如果那是 key，它已经留在 shell 历史里了：请从历史中删除';

const UNLOCK_KEYCHAIN = '请解锁（登录桌面，或用系统自带的钥匙串程序打开）后重试';

const CHECK_PASSPHRASE_FILE = '请检查 GLM_TOKEN_PASSPHRASE_FILE，它指定了这个文件';

const PLAN_TITLES: Record<PlanName, string> = {
  'pay-as-you-go': '按量付费',
  coding: ' GLM Coding Plan ',
};

const STORE_TEXT = '保存位置：系统钥匙串，或加密文件（用于没有钥匙串的机器）';

const ACCOUNT_TEXTS = {
  host: `key 所属的 API 主机 [${DEFAULT_HOST}]`,
  profile: `同一主机有多个 key 时用哪一个 [${DEFAULT_PROFILE}]`,
};

const NETWORK_CURES: Record<ReturnType<typeof networkFault>, (variable: string) => string> = {
  'certificate date': () => '按本机时钟，对方的证书不在有效期内：请检查时钟，可能差了几个月',
  certificate: () =>
    '本机不信任对方的证书；如果代理会检查流量，请把 NODE_EXTRA_CA_CERTS 设为代理的证书',
  'proxy names': (variable) => `请让代理解析域名：在 ${variable} 中使用 socks5h://`,
  proxy: (variable) => `请检查 ${variable}，以及代理是否在运行`,
  network: () => '请检查网络和主机名；如果需要代理，请设置 https_proxy',
};

const SOCKET_FAULTS: Record<Extract<SocketFault, string>, SocketFaultText> = {
  missing: {
    message: (path) => `${path} 处没有套接字`,
    hint: (program) =>
      `请启动后台进程（${program} daemon --socket），或用转发它的 ssh -R 重新登录；不设置 GLM_TOKEN_SOCKET 时使用本机的 key`,
  },
  refused: {
    message: (path) => `${path} 没有响应：后台进程已经结束，或转发它的 ssh 登录已经断开`,
    hint: (program) => `请启动后台进程（${program} daemon --socket），或用转发它的 ssh -R 重新登录`,
  },
  closed: {
    message: (path) => `${path} 没有回答就关闭了`,
    hint: () =>
      '请重试；如果经过 ssh，请检查登录前的那台机器上后台进程是否在运行：glm-token daemon --socket',
  },
  silent: {
    message: (path) => `${path} 处的后台进程没有及时回答`,
    hint: () => '请检查连接，或重启后台进程',
  },
  unintelligible: {
    message: (path) => `在 ${path} 应答的不是 glm-token 的后台进程`,
    hint: () => '请检查 GLM_TOKEN_SOCKET',
  },
};

/**
 * @param program how the program is called, ready to paste into a shell
 * @param system the one that commands in hints are for
 */
export function chinese(program: string, system: System = 'posix'): Messages {
  const isWindows = system === 'windows';
  const flagsOf = (account: Account) => accountFlags(account, system);
  const toUse = (store: StoreLabel) =>
    isWindows
      ? `如需在新开的终端中使用${storeTitle(store)}：setx GLM_TOKEN_STORE ${store.name}`
      : `如需使用${storeTitle(store)}：export GLM_TOKEN_STORE=${store.name}`;
  const seeHelp = (command: string) => `参见：${program} ${command} --help`;
  /** The cure for a line with what may be a key, or else another one. */
  const afterKey = (shown: readonly string[], otherwise: string) =>
    shown.includes(HIDDEN) ? KEY_IN_HISTORY : otherwise;
  const nameShell = (shells: readonly string[]) =>
    `请指明 shell：${shells.map((shell) => `${program} completion ${shell}`).join('、')}`;
  const storeAgain = (account: Account) => `${program} store --force${flagsOf(account)}`;
  const useFile = (flags: string) => `把 key 保存到加密文件：${program} store --store file${flags}`;

  /** `checkKey` is the cure for a key that the service does not accept. */
  const changeKey = (account: Account, origin: KeyOrigin | undefined): string => {
    if (!origin) return 'key 在后台进程那一侧：请在控制台检查它，并在后台进程所在的机器上更换';
    if (origin.name === 'environment') {
      return 'key 来自 GLM_API_KEY：请在控制台检查它，重新设置该变量，并重启继承了它的程序';
    }
    if (origin.name === 'command') {
      const command = origin.program ?? '命令';
      return `key 来自 ${command}：请在控制台检查它，并在 ${command} 读取的地方更换；下次请求会重新运行 ${command}`;
    }
    return `key 保存在${storeTitle(origin)}：请在控制台检查它，并重新保存：${storeAgain(account)}`;
  };
  const serviceFaultsWith = (
    checkKey: string,
  ): Readonly<Record<ServiceFault, { message: string; hint: string }>> => ({
    unauthenticated: { message: '服务无法验证请求的身份', hint: checkKey },
    noToken: { message: '服务没有收到令牌', hint: 'Authorization 请求头可能被代理去掉了' },
    unreadableToken: { message: '服务无法解析令牌', hint: `查看令牌内容：${program} inspect` },
    expiredToken: {
      message: '服务认为令牌已过期',
      hint: `本机时钟可能偏慢（检查方法：${program} doctor），或者令牌有效期太短：请设为 3m 或更长`,
    },
    refusedKey: { message: '服务拒绝了这个 key：它已被吊销，或输入有误', hint: checkKey },
    noBalance: {
      message: '账户余额不足',
      hint: '请在控制台充值；Coding Plan 的 key 需要使用 Coding Plan 端点',
    },
    accountUnusable: {
      message: '账户未激活、已锁定或不存在',
      hint: '请查看控制台，或联系服务方客服',
    },
    badRequest: {
      message: '服务不接受请求中的某个参数',
      hint: '请检查 backend 的 :request-params，以及模型是否支持这些参数',
    },
    noSuchModel: {
      message: '服务没有这个模型',
      hint: '请检查模型名称；Coding Plan 端点的模型较少',
    },
    noSuchApi: {
      message: '这个 key 无权使用该 API，或该 API 不存在',
      hint: '请检查 backend 的 :endpoint 和 key 所属的套餐',
    },
    duplicate: { message: '服务仍在处理同一个请求', hint: '请等待它的结果' },
    promptTooLong: { message: '提示词超过了模型的长度上限', hint: '请新开对话，或减少上下文' },
    internal: { message: '服务内部出错', hint: '请稍后重试' },
    unsafe: { message: '服务判定提问或回答含有敏感内容', hint: '请换一种说法' },
    busy: { message: '请求过多，或模型繁忙', hint: '请稍后重试' },
    quotaUsedUp: { message: '当日或套餐的额度已用完', hint: '请等待额度恢复，或换用另一个 key' },
    planExpired: { message: 'Coding Plan 套餐已过期', hint: '请续费，或改用按量付费端点' },
    modelNotInPlan: { message: '套餐不包含这个模型', hint: '请换用其他模型' },
    policy: { message: '账户的策略不允许这个请求', hint: '请查看控制台' },
  });
  const serviceFault = (fault: ServiceFault, account: Account, origin: KeyOrigin | undefined) =>
    serviceFaultsWith(changeKey(account, origin))[fault];

  const errors: ErrorTexts = {
    unexpected: ({ reason }) => ({
      message: `意外错误：${reason}`,
      hint: `这是 glm-token 的缺陷；请附上以下命令的输出反馈：${program} doctor --json`,
    }),
    outputFailed: ({ errno }) => ({
      message: `无法写入标准输出（${errno}）`,
      hint: '请检查输出的去向：磁盘可能已满，或输出已被关闭',
    }),

    commandMissing: ({ command }) => ({
      message: command ? '命令要写在选项前面' : '没有给出命令',
      hint: command ? `用法：${program} ${command} 选项` : `参见：${program} --help`,
    }),
    commandUnknown: ({ given, near }) => ({
      message: `没有命令 ${given}`,
      hint: near ? `是否想用 ${near}？` : afterKey([given], `参见：${program} --help`),
    }),
    optionUnknown: ({ command, given, value, near }) => ({
      message: `没有选项 ${given}`,
      hint: near ? `是否想用 ${near}？` : afterKey([given, value], seeHelp(command)),
    }),
    optionValueMissing: ({ command, option }) => ({
      message: `--${option} 需要一个值`,
      hint: seeHelp(command),
    }),
    optionValueUnexpected: ({ command, option }) => ({
      message: `--${option} 不接受值`,
      hint: seeHelp(command),
    }),
    optionNotAChoice: ({ option, given, choices }) => ({
      message: `--${option} 不能是 ${given}`,
      hint: `可选的值：${choices.join('、')}`,
    }),
    argumentNotAChoice: ({ command, given, choices }) => ({
      message: `${command} 的参数不能是 ${given}`,
      hint: afterKey([given], `可选的值：${choices.join('、')}`),
    }),
    shellUnnamed: ({ shells }) => ({
      message: '无法判断当前的 shell：没有设置 SHELL',
      hint: nameShell(shells),
    }),
    shellUnknown: ({ given, shells }) => ({
      message: `SHELL 是 ${given}，没有对应的补全脚本`,
      hint: nameShell(shells),
    }),
    argumentUnexpected: ({ command, given }) => ({
      message: `glm-token ${command} 不接受参数，key 绝不能作为参数`,
      hint: afterKey([given], seeHelp(command)),
    }),
    settingInvalid: ({ variable, problem }) => {
      const { message, hint } = describe(problem as GlmTokenError);
      return { message: `${variable}：${message}`, hint };
    },
    languageUnknown: ({ given }) => ({
      message: `GLM_TOKEN_LANG：不支持 ${given}，改用英文`,
      hint: '请设为 en 或 zh',
    }),
    settingNotAChoice: ({ given, choices }) => ({
      message: `${given} 不是存储位置`,
      hint: `可选的值：${choices.join('、')}`,
    }),
    homeNotAbsolute: () => ({
      message: '必须是绝对路径，否则 key 会落到当前目录',
      hint: '请设为绝对路径',
    }),
    hostInvalid: ({ given }) => ({
      message: `${given} 不是主机名`,
      hint: `请使用 ${DEFAULT_HOST} 或 api.z.ai 这样的主机名`,
    }),
    profileInvalid: ({ given, maxCharacters }) => ({
      message: `${given} 不能作为 profile 名称`,
      hint: `请使用 1 到 ${maxCharacters} 个可见字符，编码为 UTF-8`,
    }),
    hostMistyped: ({ account, meant }) => ({
      message: `没有保存 ${accountTitle(account)} 的 key，但有 ${accountTitle(meant)} 的 key`,
      hint: '请检查主机名',
    }),
    durationInvalid: ({ given }) => ({
      message: `${given} 不是时长`,
      hint: '请用数字加单位，例如 5m、2h、30d，范围 1s 到 365d',
    }),
    methodUnknown: () => ({
      message: '后台进程没有这个方法',
      hint: '请同时更新 glm-token 及其客户端',
    }),
    parameterInvalid: ({ parameter }) => ({ message: `参数 ${parameter} 必须是字符串` }),
    parameterNotWords: ({ parameter }) => ({ message: `参数 ${parameter} 必须是非空的字符串列表` }),
    keyExists: ({ account, existing }) => ({
      message: `${accountTitle(account)} 已保存了${existing ? `另一个 key（${existing}）` : '其他内容'}，没有改动`,
      hint: `如需替换：${storeAgain(account)}`,
    }),
    deletionUnconfirmed: ({ account }) => ({
      message: '没有终端，无法确认；没有删除任何内容',
      hint: `如需不经确认直接删除：${program} delete --force${flagsOf(account)}`,
    }),
    answeredNo: () => ({ message: '没有改动' }),
    choiceInvalid: ({ given, count }) => ({
      message: `${given} 不在选项之中`,
      hint: `请输入 1 到 ${count}，或直接按回车选择方括号中的一项`,
    }),
    answerUnclear: ({ given }) => ({
      message: `${given} 既不是「是」也不是「否」`,
      hint: '请输入 y 或 n，或直接按回车选择大写的一项',
    }),
    environmentIsReadOnly: () => ({
      message: 'key 在环境变量 GLM_API_KEY 中，glm-token 无法修改',
      hint: '如需使用已保存的 key，请取消设置 GLM_API_KEY',
    }),
    terminalEchoes: () => ({
      message: '这是 Emacs 里的终端，输入的内容会显示出来',
      hint: '请使用 M-x glm-gptel-auth-store，或换一个终端',
    }),
    execWithoutProgram: () => ({
      message: '没有要运行的程序',
      hint: `请把程序写在选项之后：${program} exec -- PROGRAM ...`,
    }),
    execVariableInvalid: () => ({
      message: '--env 的值不是变量名',
      hint: '请使用 OPENAI_API_KEY 这样的名称，令牌会放在里面',
    }),
    programMissing: ({ given }) => ({
      message: `没有程序 ${given}`,
      hint: '请检查它的名称和 PATH',
    }),
    programNotExecutable: ({ errno }) => ({
      message: `无法运行该程序（${errno}）`,
      hint: '请检查它是不是程序，以及它的权限',
    }),
    daemonWithoutTransport: () => ({
      message: 'daemon 需要 --stdio 或 --socket 之一',
      hint: seeHelp('daemon'),
    }),
    optionNeedsSocket: ({ option }) => ({
      message: `--${option} 只能与 --socket 一起使用`,
      hint: seeHelp('daemon'),
    }),
    accountsAreReadOnly: () => ({
      message: '--accounts 是只读的，不能与 --allow-write 同时使用',
      hint: '请去掉其中一个，或在另一个套接字上再启动一个后台进程',
    }),
    storeIsElsewhere: ({ path }) => ({
      message: `已设置 GLM_TOKEN_SOCKET，从哪里读取 key 由 ${path} 处的后台进程决定`,
      hint: '请去掉 --store；如需使用本机保存的 key，请取消设置 GLM_TOKEN_SOCKET',
    }),
    socketPathInvalid: ({ isRelative, maxBytes }) => ({
      message: isRelative ? '套接字的路径必须是绝对路径' : '这个路径对套接字来说太长',
      hint: `请使用不超过 ${maxBytes} 字节的绝对路径`,
    }),
    writingNotAllowed: () => ({
      message: '这个后台进程是只读的',
      hint: '请在后台进程所在的机器上使用 glm-token，或启动时加上 --allow-write',
    }),
    lifetimeTooLong: ({ maxTtlMs }) => ({
      message: `这个后台进程签发的令牌有效期最长为 ${duration(maxTtlMs)}`,
      hint: '请使用更短的有效期',
    }),
    accountNotServed: ({ account, accounts }) => ({
      message: `这个后台进程不提供 ${accountTitle(account)} 的令牌`,
      hint: `它提供：${accounts.map(accountTitle).join('、')}；如需更改，请用另外的 --accounts 启动它`,
    }),
    storeWithoutCommand: () => ({
      message: '--from-command 需要输出 key 的命令',
      hint: `请写在选项之后：${program} store --from-command -- pass show glm`,
    }),
    commandAndStore: () => ({
      message: '--from-command 不保存 key，--store 不适用',
      hint: '请去掉其中一个',
    }),
    commandNotAllowed: () => ({
      message: '不能通过套接字设置输出 key 的命令，因为它会在那台机器上运行',
      hint: `请在后台进程所在的机器上运行：${program} store --from-command -- COMMAND ...`,
    }),
    keyInCommand: () => ({
      message: '命令中含有 key，没有保存',
      hint: `请直接保存 key：${program} store`,
    }),
    tokenMissing: ({ isKey }) =>
      isKey
        ? {
            message: '这是 API key，不是令牌（JWT）',
            hint: `如果是作为参数输入的，它已经留在 shell 历史里了；保存 key 请用：${program} store`,
          }
        : {
            message: '输入的内容中没有令牌（JWT）',
            hint: `令牌由点号分成三段，例如 ${program} print 的输出`,
          },

    keyNotFound: ({ account, others, inEnvironment }) => {
      const store = `请运行：${program} store${flagsOf(account)}`;
      const known = others.map(accountTitle).join('、');
      return {
        message: `没有保存 ${accountTitle(account)} 的 key${
          inEnvironment ? `（GLM_API_KEY 属于 ${accountTitle(inEnvironment)}）` : ''
        }`,
        hint: known ? `${store}；已有 key 的账户：${known}` : store,
      };
    },
    nothingToDelete: ({ account }) => ({
      message: `没有保存 ${accountTitle(account)} 的 key`,
      hint: `查看已保存的 key：${program} list`,
    }),
    noKeyYet: () => ({ message: '还没有保存任何 key', hint: `请运行：${program} store` }),
    noKeyFile: () => ({
      message: '还没有加密文件，也就没有口令',
      hint: `创建加密文件：${program} store --store file`,
    }),
    nothingToMove: ({ store }) => ({
      message: `${storeTitle(store)}中没有可以移动的 key`,
      hint: `查看已保存的 key：${program} list`,
    }),

    keyInvalid: ({ fault }) => ({
      message: KEY_FAULTS[fault],
      hint: '请从 bigmodel.cn/usercenter/proj-mgmt/apikeys 或 z.ai/manage-apikey/apikey-list 复制完整的 key',
    }),
    storedKeyInvalid: ({ account, store }) =>
      store.name === 'environment'
        ? {
            message: 'GLM_API_KEY 的内容不是 API key（id.secret）',
            hint: '请把它设为控制台显示的 key，或取消设置',
          }
        : {
            message: `${storeTitle(store)}中为 ${accountTitle(account)} 保存的内容不是 API key`,
            hint: `请重新保存：${storeAgain(account)}`,
          },

    keyCommandPrintedNoKey: ({ account, program: name, fault }) => ({
      message:
        fault === 'empty'
          ? `${name} 没有输出 ${accountTitle(account)} 的 key`
          : `${name} 为 ${accountTitle(account)} 输出的内容不可用：${KEY_FAULTS[fault]}`,
      hint: '输出的第一行必须是 key',
    }),
    keyCommandFailed: ({ account, program: name, fault, hasTerminal, said }) => {
      if (fault === 'endless') {
        return { message: `${name} 的输出超过 1 MiB，已终止它`, hint: '输出的第一行必须是 key' };
      }
      const { status } = fault;
      const how = typeof status === 'number' ? `退出码为 ${status}` : `被 ${status} 终止`;
      return {
        message: `${name} 没有给出 ${accountTitle(account)} 的 key：${how}${said ? `，报错：${said}` : ''}`,
        hint: hasTerminal
          ? '请看它输出了什么；密码管理器可能已锁定'
          : '密码管理器可能已锁定，或需要在终端里提示输入；也可能缺少 shell 里的环境变量，例如 GNUPGHOME、PASSWORD_STORE_DIR 或 VAULT_ADDR',
      };
    },
    keyCommandNotRun: ({ account, given, errno }) =>
      errno === 'ENOENT'
        ? {
            message: `找不到程序 ${given}，无法得到 ${accountTitle(account)} 的 key`,
            hint: `Emacs 的 PATH 可能与 shell 不同，请写绝对路径：${program} store --from-command${flagsOf(account)} -- /path/to/program ...`,
          }
        : {
            message: `无法运行 ${given}（${errno}）`,
            hint: '请检查它是不是程序，以及它的权限',
          },
    fileWritableByOthers: ({ path }) => ({
      message: `其他用户可以写入 ${path}，因此不运行其中的命令`,
      hint: `请先检查其内容，再运行：chmod go-w ${shellQuote(path)}`,
    }),

    keychainLibraryMissing: ({ isLinux }, flags) => ({
      message: '无法使用系统钥匙串：原生库加载失败',
      hint: isLinux
        ? `请安装 libsecret（Debian：apt install libsecret-1-0），或${useFile(flags)}`
        : `请重新安装 glm-token，或${useFile(flags)}`,
    }),
    keychainMissing: ({ hasBus }, flags) => ({
      message: hasBus
        ? '没有系统钥匙串：D-Bus 会话总线上没有提供 Secret Service 的程序'
        : '没有系统钥匙串：D-Bus 会话总线没有运行',
      hint: hasBus
        ? `请启动一个：GNOME Keyring、KWallet，或启用了「保密服务集成」的 KeePassXC；或${useFile(flags)}`
        : `请登录桌面会话，或${useFile(flags)}`,
    }),
    busOutOfReach: ({ isAbstract, other }, flags) => {
      const cures = [
        ...(other ? [`请把 DBUS_SESSION_BUS_ADDRESS 设为 ${other}，那里的会话总线有响应`] : []),
        ...(isAbstract ? ['请使用 Node 22 或更高版本，它能连接抽象地址'] : []),
        '如果该会话已经结束，请重新登录',
      ];
      return {
        message: '无法访问系统钥匙串：DBUS_SESSION_BUS_ADDRESS 中的地址没有响应',
        hint: [cures.join('；'), ...(other ? [] : [`否则，请${useFile(flags)}`])],
      };
    },
    keyringMissing: (_params, flags) => ({
      message: '系统钥匙串里没有可以保存 key 的默认密钥环',
      hint: `请新建一个（Seahorse：「密码和密钥」；KeePassXC：打开数据库，在其设置的「保密服务集成」中选择「公开此群组下的条目」）、登录一次桌面，或${useFile(flags)}`,
    }),
    keychainFailed: ({ reason }) => ({
      message: `系统钥匙串出错：${oneLine(reason)}`,
      hint: '请注销后重新登录',
    }),
    keychainSessionRefused: ({ reason }) => ({
      message: `钥匙串服务有响应，但不提供 key：${oneLine(reason)}`,
      hint: '在 KDE 上，请安装 QCA 的 OpenSSL 插件（Debian：libqca-qt6-plugins；KDE 5：libqca-qt5-2-plugins）并重新登录',
    }),
    keychainSilent: () => ({
      message: '钥匙串服务没有响应',
      hint: '请重启该服务，例如注销后重新登录',
    }),
    keychainKeepsAnother: (_params, flags) => ({
      message: 'key 已保存，但另一个密钥环里有该账户的另一个 key，读取时会优先使用那一个',
      hint: `请把两个都删除，然后重新保存：${program} delete${flags}`,
    }),
    fileRefused: ({ action, path, errno, parentVariable }) => {
      const [reason, cure] = fileFaults(parentVariable)[errno] ?? [
        errno,
        `请检查该目录及其磁盘${parentVariable ? `，或把 ${parentVariable} 设为其他目录` : ''}`,
      ];
      return { message: `无法${FILE_ACTIONS[action]} ${path}：${reason}`, hint: cure };
    },
    fileOfAnotherUser: ({ path }) => ({
      message: `${path} 属于其他用户，不可信任`,
      hint: '请用 chown 改为自己所有，或删除它',
    }),
    fileIrregular: ({ path }) => ({
      message: `${path} 不是普通文件，或大于 1 MiB`,
      hint: '请查看它是什么并移走；程序不会跟随链接',
    }),
    fileOpenToOthers: ({ path, parentVariable }) => ({
      message: `其他用户可以访问 ${path}，而所在的文件系统不支持权限`,
      hint: parentVariable
        ? `请把 ${parentVariable} 设为其他磁盘上的目录`
        : '该目录需要位于其他磁盘上',
    }),
    fileDeclined: ({ account }) => ({
      message: '没有保存任何内容',
      hint: [
        `钥匙串可用并解锁后：${program} setup${flagsOf(account)}`,
        `如果还是用加密文件：${program} setup --store file${flagsOf(account)}`,
      ],
    }),
    fileBusy: ({ path }) => ({
      message: `另一个 glm-token 正在写入 ${path}`,
      hint: '请重试；原有内容没有改动',
    }),
    keysNotMoved: ({ problem, from }) => ({
      message: `${describe(problem as GlmTokenError).message}；没有移动的 key 仍在${storeTitle(from)}里`,
      hint: [
        `查看系统钥匙串缺什么：${program} list --store keychain`,
        `然后运行：${program} move --to keychain`,
      ],
    }),
    keyNotKept: ({ account, problem }) => {
      const flags = flagsOf(account);
      return {
        message: `key 没有保存：${describe(problem as GlmTokenError).message}`,
        hint: [
          isWindows
            ? `口令放在文件里：把 GLM_TOKEN_PASSPHRASE_FILE 设为它的路径，然后运行 type KEYFILE | ${program} setup${flags}`
            : `口令放在文件里：GLM_TOKEN_PASSPHRASE_FILE=FILE ${program} setup${flags} < KEYFILE`,
          isWindows
            ? '不保存：把 GLM_API_KEY 设为这个 key'
            : `不保存：export GLM_API_KEY="$(cat KEYFILE)"`,
          `在终端里运行，会提示输入口令：${program} setup${flags}`,
        ],
      };
    },

    keychainLocked: () => ({ message: '系统钥匙串已锁定', hint: UNLOCK_KEYCHAIN }),
    keychainDenied: () => ({
      message: '钥匙串程序拒绝了这次访问',
      hint: '请重试，并在它弹出的窗口中允许；如果被拒绝的是后台进程，请先重启后台进程',
    }),
    keychainAsksLater: ({ about }) =>
      about === 'keychain'
        ? {
            message: '系统钥匙串已锁定；下次请求时会要求解锁',
            hint: `如需现在解锁，请运行：${program} print`,
          }
        : {
            message: '钥匙串程序尚未允许读取这个 key',
            hint: '下次请求时它会弹出窗口询问，请在窗口中允许',
          },
    keychainPromptUnanswered: ({ seconds }) => ({
      message: `系统钥匙串的提示在 ${seconds} 秒内没有得到回应`,
      hint: UNLOCK_KEYCHAIN,
    }),

    keyCommandRunsLater: ({ account, program: name }) => ({
      message: `${accountTitle(account)} 的 key 由 ${name} 输出，这次没有运行它`,
      hint: '下次请求时会运行',
    }),
    keyCommandUnanswered: ({ account, program: name, seconds }) => ({
      message: `${name} 在 ${seconds} 秒内没有给出 ${accountTitle(account)} 的 key`,
      hint: '请回应它的提示，或解锁密码管理器，然后重试；时限由 GLM_TOKEN_PROMPT_TIMEOUT 设定',
    }),

    passphraseNeeded: ({ isNew }) => ({
      message: isNew ? '新的加密文件需要口令' : '需要加密文件的口令',
      hint: '请在终端里运行，或把 GLM_TOKEN_PASSPHRASE_FILE 设为存放口令的文件',
    }),
    passphraseWrong: ({ path }) => ({
      message: `加密文件（${path}）的口令错误`,
      hint: '请重试；没有口令就无法找回其中的 key',
    }),
    passphraseInFileWrong: ({ passphraseFile }) => ({
      message: `${passphraseFile} 中的口令不是加密文件的口令`,
      hint: CHECK_PASSPHRASE_FILE,
    }),
    passphraseEmpty: () => ({
      message: '空口令起不到保护作用',
      hint: '请换一个口令重试；没有保存任何内容',
    }),
    passphrasesDiffer: () => ({
      message: '两次输入的口令不一致',
      hint: '请重试；没有保存任何内容',
    }),
    passphraseFileUnreadable: ({ passphraseFile, errno }) => ({
      message: `无法从 ${passphraseFile} 读取口令（${errno === 'EIRREGULAR' ? '不是普通文件，或文件过大' : errno}）`,
      hint: CHECK_PASSPHRASE_FILE,
    }),
    passphraseFileEmpty: ({ passphraseFile }) => ({
      message: `${passphraseFile} 中没有口令：第一行为空`,
      hint: CHECK_PASSPHRASE_FILE,
    }),

    keyFileDamaged: ({ path }) => ({
      message: `加密文件（${path}）已损坏`,
      hint: `请从备份恢复；或删除它，然后运行：${program} store --store file`,
    }),
    commandFileDamaged: ({ path }) => ({
      message: `${path} 已损坏`,
      hint: `请修复它，或将其删除后重新保存命令：${program} store --from-command -- COMMAND ...`,
    }),

    protocolUnknown: ({ version, protocol }) => ({
      message: `后台进程（glm-token ${version}）使用协议 ${protocol}，与客户端不同`,
      hint: '请同时更新 glm-token 和 glm-gptel-auth.el，然后重启 Emacs',
    }),
    clientUnintelligible: () => ({
      message: '客户端发来的不是分帧的 JSON-RPC 2.0 消息',
      hint: '请同时更新 glm-token 及其客户端',
    }),
    clientMessageTooLong: () => ({
      message: '客户端发来的消息太长',
      hint: '请同时更新 glm-token 及其客户端',
    }),
    keychainRestarted: () => ({
      message: '钥匙串服务重启过，当前进程连不上新的服务',
      hint: '请重启后台进程',
    }),
    socketsNotOnWindows: () => ({
      message: 'Windows 上不支持套接字',
      hint: '请使用 Emacs 启动的后台进程，或取消设置 GLM_TOKEN_SOCKET',
    }),
    runtimeDirectoryMissing: () => ({
      message: '没有设置 XDG_RUNTIME_DIR，套接字没有默认位置',
      hint: `请指定一个在自己目录中的路径：${program} daemon --socket PATH`,
    }),
    socketDirectoryUnsafe: ({ path, isOthers }) =>
      isOthers
        ? {
            message: `${path} 不是你自己的目录，不在其中创建套接字`,
            hint: '请使用自己的目录',
          }
        : {
            message: `其他用户可以写入 ${path}，不在其中创建套接字`,
            hint: `请运行：chmod 700 ${shellQuote(path)}`,
          },
    socketPathTaken: ({ path }) => ({
      message: `${path} 已经存在，而且不是套接字`,
      hint: '请把它移走，或使用另一个路径',
    }),
    socketRefused: ({ path, errno }) => ({
      message: `无法创建套接字 ${path}（${errno}）`,
      hint: '请检查它的目录，或使用另一个路径',
    }),
    socketPassedInvalid: () => ({
      message: 'systemd 传入的套接字不是只有你能访问的',
      hint: '请按 docs/integrations.zh-CN.md 编写单元文件，其中要有 DirectoryMode=0700 和 SocketMode=0600',
    }),
    helperRunning: ({ path }) => ({
      message: `${path} 处已有后台进程在运行`,
      hint: `如需使用它：export GLM_TOKEN_SOCKET=${shellQuote(path)}`,
    }),
    socketUnanswered: ({ path, fault }) => {
      if (typeof fault !== 'string') {
        return {
          message: `无法连接 ${path}（${fault.errno}）`,
          hint: '请检查 GLM_TOKEN_SOCKET，以及它所指文件的属主和权限',
        };
      }
      const { message, hint } = SOCKET_FAULTS[fault];
      return { message: message(path), hint: hint(program) };
    },
    socketOfAnotherUser: ({ path }) => ({
      message: `套接字 ${path} 属于其他用户，不可信任`,
      hint: '请检查 GLM_TOKEN_SOCKET',
    }),
    helperReported: ({ message, hint }) => ({
      message,
      hint: hint === undefined ? undefined : `${hint}（在后台进程所在的机器上）`,
    }),

    hostUnreachable: (params) => {
      const { host, proxy, variable, fault, seconds } = params;
      const through = proxy ? `（经代理 ${proxy}）` : '';
      const reason = fault === 'timeout' ? `${seconds} 秒内没有响应` : fault;
      return {
        message: `无法连接 ${host}${through}：${reason}`,
        hint: NETWORK_CURES[networkFault(params)](variable ?? ''),
      };
    },
    proxyInvalid: ({ variable }) => ({
      message: `${variable} 不是代理的 URL`,
      hint: '请设为 http://127.0.0.1:7890 这样的 URL',
    }),
    tokenRefused: ({ account, origin, status, serviceCode, fault }) => {
      const answer = `${account.host} 返回 ${status}${serviceCode ? `，错误码 ${serviceCode}` : ''}`;
      if (!fault && !serviceCode && status === 200) {
        return {
          message: `${answer}，但不是该服务的回答`,
          hint: '可能是代理或网络的登录页代替服务作了回答',
        };
      }
      if (!fault) {
        return { message: answer, hint: '错误码列表见 docs.bigmodel.cn/cn/api/api-code' };
      }
      const { message, hint } = serviceFault(fault, account, origin);
      return { message: `${answer}：${message}`, hint };
    },
  };

  const describe = (error: GlmTokenError, about?: Account): Text => {
    const text = errors[error.reason] as (params: unknown, flags: string) => Text;
    return text(shownIn(error.params), about ? flagsOf(about) : '');
  };

  const keyFor = (account: Account) => `${accountTitle(account)} 的 key`;
  const linesAgain = (account: Account | undefined, plan: PlanName) =>
    `${program} setup emacs${account ? flagsOf(account) : ' --all'}${plan === 'coding' ? ' --plan coding' : ''}`;

  return {
    describe,
    serviceFault,
    storeTitle,
    none: '无',
    hintLabel: '提示：',

    shortLifetime: {
      message: '警告：有效期不足 3 分钟的令牌可能会被服务拒绝',
      hint: '请使用 --ttl 3m 或更长的有效期',
    },
    waiting: (program) =>
      program ? `正在等待 ${program} ……` : '正在等待系统钥匙串，如有提示请解锁',
    modeMended: (path, mode) => `其他用户原先可以访问 ${path}，已把权限改为 ${mode}`,

    yesOrNo: (byDefault) => (byDefault ? 'Y/n' : 'y/N'),
    meansYes: (answer) =>
      /^(y(es)?|是)$/i.test(answer) || (/^(no?|否)$/i.test(answer) ? false : undefined),
    askChoice: (byDefault) => `请选择 [${byDefault}]：`,
    askKey: 'API key（id.secret，不显示）：',
    askToken: '令牌（不显示）：',
    askPassphrase: '加密文件的口令：',
    askPassphraseAfterWrong: '口令错误，请重新输入：',
    askNewPassphrase: '加密文件的新口令：',
    askPassphraseAgain: '再次输入口令：',
    askHost: (account) => `仍然使用 ${shownHost(account.host)} 吗？`,
    askReplace: (account, existing) =>
      `${accountTitle(account)} 已保存了另一个 key${existing ? `（${existing}）` : ''}，是否替换？`,
    askDelete: (account, store) =>
      store.name === 'command'
        ? `是否删除输出 ${keyFor(account)} 的命令？`
        : `是否从${storeTitle(store)}删除 ${keyFor(account)}？`,
    askFileInstead: (store) => `是否改为保存到${storeTitle(store)}？`,

    help: {
      usage: '用法：',
      sentence: (summary) => `${summary}。`,
      purpose: '为 GLM API 签发短期令牌；key 保存在系统钥匙串中。',
      groups: {
        start: '开始',
        use: '使用',
        keys: 'key 的管理',
        trouble: '排查问题',
        programs: '供 Emacs 和 shell 使用',
      },
      options: '选项',
      builtIn: {
        help: '显示帮助，或某个命令的帮助',
        helpOfCommand: '显示帮助',
        helpCommand: '显示某个命令的帮助',
        version: '显示版本',
        endOfOptions: '其后是要运行的程序',
      },
      examplesTitle: '示例',
      examples: [
        ['glm-token setup', '从这里开始'],
        ['glm-token store --host api.z.ai', '保存国际端点的 key'],
        ['glm-token print', '查看令牌'],
      ],
      epilogue: [
        '用 --host HOST 和 --profile NAME，或 GLM_TOKEN_HOST 和 GLM_TOKEN_PROFILE 指定账户。',
        'GLM_API_KEY 存放 CI 用的 key。',
      ],
    },

    commands: {
      setup: {
        summary: '从这里开始：保存 key，得到 init.el 的配置',
        options: {
          ...ACCOUNT_TEXTS,
          plan: 'key 所属的套餐',
          store: STORE_TEXT,
          all: '输出所有已保存 key 的账户的配置',
          check: '不询问，直接向服务验证 key',
          force: '不询问，直接替换已保存的 key',
          rehearse: '用内存中的虚构 key 演练，不保存任何内容',
          'rehearse-without-key': '',
        },
        examples: [['glm-token setup emacs', '再次显示 init.el 的配置']],
      },
      store: {
        summary: '保存 API key：在提示符下输入，或从标准输入读取',
        options: {
          ...ACCOUNT_TEXTS,
          store: STORE_TEXT,
          'from-command': '保存输出 key 的命令，而不保存 key',
          force: '不询问，直接替换已保存的 key',
        },
        examples: [
          ['glm-token store', '提示输入 key，不回显'],
          ['glm-token store --host api.z.ai < FILE', '从标准输入读取'],
          ['glm-token store --from-command -- pass show glm', 'key 留在密码管理器中'],
        ],
      },
      print: {
        summary: '输出新签发的令牌',
        options: {
          ...ACCOUNT_TEXTS,
          ttl: '令牌的有效期：5m、2h、30d',
          format: '输出格式',
          store: '从哪里读取 key',
        },
        examples: [
          ['glm-token print --ttl 1h', '有效期一小时的令牌'],
          ['glm-token print --format header | curl -H @- URL', '供 curl 使用的请求头'],
        ],
      },
      exec: {
        summary: '运行程序，并在其环境变量中提供令牌',
        options: { ...ACCOUNT_TEXTS, env: '存放令牌的变量', ttl: '令牌的有效期' },
        examples: [
          ['glm-token exec -- python chat.py', '程序接触不到 key'],
          ['glm-token exec --env MY_KEY -- ./chat', '放在指定的变量中'],
        ],
      },
      list: {
        summary: '列出已保存 key 的账户',
        options: { store: '查看哪个存储位置', json: '输出 JSON' },
        examples: [],
      },
      delete: {
        summary: '删除已保存的 key',
        options: { ...ACCOUNT_TEXTS, store: '从哪里删除', force: '不询问，直接删除' },
        examples: [],
      },
      move: {
        summary: '把所有 key 移到另一个存储位置',
        options: { to: '移到哪里', force: '不询问，直接替换那里已有的 key' },
        examples: [['glm-token move --to file', '从系统钥匙串移到加密文件']],
      },
      passphrase: { summary: '修改加密文件的口令', options: {}, examples: [] },
      inspect: {
        summary: '查看令牌的内容和问题',
        options: { json: '输出 JSON' },
        examples: [
          ['glm-token print | glm-token inspect', '从标准输入读取'],
          ["glm-token inspect 'Bearer eyJ...'", '直接粘贴，带不带请求头都可以'],
        ],
      },
      doctor: {
        summary: '查明为什么得不到令牌，以及如何解决',
        options: {
          ...ACCOUNT_TEXTS,
          live: '向服务发送一个令牌，并解释服务的回答',
          json: '输出 JSON',
        },
        examples: [],
      },
      daemon: {
        summary: '向启动它的 Emacs 或多个程序提供令牌',
        options: {
          stdio: '通过标准输入输出提供 JSON-RPC，供启动它的 Emacs 使用',
          socket: '通过 Unix 套接字提供 JSON-RPC，供设置了 GLM_TOKEN_SOCKET 的所有程序使用',
          accounts: '只提供这些账户的令牌，只读：PROFILE@HOST,...',
          'allow-write': '允许客户端保存和删除 key',
          'lock-after': '闲置多久后锁定加密文件',
          'exit-after': '闲置多久后结束',
        },
        examples: [
          ['glm-token daemon --socket', '所有 Emacs 和 shell 共用一个已解锁的后台进程'],
          ['glm-token daemon --socket PATH --accounts work@api.z.ai', '供 ssh 转发'],
        ],
      },
      completion: {
        summary: '输出 bash、zsh 或 fish 的补全脚本',
        options: {},
        examples: [
          ['eval "$(glm-token completion bash)"', '写在 ~/.bashrc 中'],
          ['eval "$(glm-token completion zsh)"', '写在 ~/.zshrc 中'],
          ['glm-token completion fish | source', '写在 config.fish 中'],
        ],
      },
    },

    setup: {
      askService: 'key 用于哪个服务？',
      services: {
        china: (host) => `国内（${host}）`,
        international: (host) => `国际（${host}）`,
      },
      askPlan: '哪种套餐？',
      plans: { 'pay-as-you-go': '按量付费', coding: 'GLM Coding Plan' },
      codingTerms: {
        message: '警告：Coding Plan 的条款限定了可以使用的工具，gptel 可能不在其中',
        hint: '请先阅读条款：用于其他用途的套餐 key 可能会被停用',
      },
      getKey: (url) => `获取 key：${url}`,
      usesEnvironment: '已设置 GLM_API_KEY，因此使用环境变量中的 key，不保存任何内容',
      destination: (store) => `key 将保存到${storeTitle(store)}`,
      askKeep: (id, account) => `已保存 ${accountTitle(account)} 的 key（${id}）。使用它吗？`,
      askCheck: (host) => `现在向 ${host} 验证 key 吗？会发送一个极小的对话请求（max_tokens=1）。`,
      checking: (host) => `正在向 ${host} 验证 key`,
      accepted: (account, freeModel) =>
        freeModel
          ? {
              message: `已验证：服务接受 ${keyFor(account)}，但账户没有余额，只能使用免费模型`,
              hint: `请在控制台充值，或使用免费模型：(setq gptel-model '${freeModel})`,
            }
          : { message: `已验证：服务接受 ${keyFor(account)}` },
      notChecked: ({ message, hint }) => ({ message: `未能验证：${message}`, hint }),
      askOtherPlan: (plan) => `是否改用${PLAN_TITLES[plan]}的端点再试？`,
      initBlock: '请把以下几行写入 init.el',
      initComment: ';; GLM 与 gptel：每次请求使用新签发的令牌；key 留在原处。',
      initMissing: (account, plan) =>
        `文件已不在原处；请重新获取配置：${linesAgain(account, plan)}`,
      unstable: (paths, account, plan) => ({
        message: `警告：升级后路径会变：${paths.join('、')}`,
        hint: `升级之后请重新获取配置：${linesAgain(account, plan)}`,
      }),
      next: {
        message:
          '接下来在 Emacs 中：M-x package-install RET gptel（如果尚未安装），重启，M-x gptel',
      },
      rehearsed: (ttlMs) => ({
        message: `这是演练：用虚构的 key 签发了一个有效期 ${duration(ttlMs)}的令牌，没有保存任何内容`,
        hint: `使用自己的 key：${program} setup`,
      }),
    },
    store: {
      destination: (account, store) => `${keyFor(account)} 将保存到${storeTitle(store)}`,
      stored: (account, id, store) =>
        `已把 ${accountTitle(account)} 的 key ${id} 保存到${storeTitle(store)}`,
      outOfSight: (accounts, other, inUse) => ({
        message: `警告：今后从${storeTitle(inUse)}读取 key；${storeTitle(other)}中的 key 不再使用（${accounts.map(accountTitle).join('、')}）`,
        hint: [`如需移动：${program} move --to ${inUse.name}`, toUse(other)],
      }),
      commandStored: (account, id, name) => ({
        message: `${keyFor(account)}（${id}）今后由 ${name} 提供`,
      }),
      readElsewhere: (account, store, { name, place }) => {
        if (name === 'environment') return { message: '警告：已设置 GLM_API_KEY，将优先使用它' };
        if (name === 'command') {
          return {
            message: `警告：${keyFor(account)} 由命令提供，命令优先`,
            hint: `如需删除该命令：${program} delete --store command${flagsOf(account)}`,
          };
        }
        return {
          message: `警告：目前从${storeTitle({ name, place })}读取 key`,
          hint: toUse(store),
        };
      },
      socketPrecedes: (path) => `警告：已设置 GLM_TOKEN_SOCKET，令牌来自 ${path} 处的后台进程`,
    },
    move: {
      moved: (account, store) => `已把 ${keyFor(account)} 移到${storeTitle(store)}`,
      kept: (account, store) => `${keyFor(account)} 仍在${storeTitle(store)}`,
    },
    passphrase: {
      changed: (store) => `已修改${storeTitle(store)}的口令`,
      fileIsOld: (path) => `警告：${path} 中仍是旧口令，请换成新口令`,
    },
    delete: {
      deleted: (account, store) =>
        store.name === 'command'
          ? `已删除输出 ${keyFor(account)} 的命令；key 本身仍在原处`
          : `已从${storeTitle(store)}删除 ${keyFor(account)}`,
      fileRemoved: (inUse) =>
        `最后一个 key 已删除，加密文件也已移除；今后的 key 保存到${storeTitle(inUse)}`,
    },
    list: {
      columns: { host: '主机', profile: 'PROFILE', id: 'ID', store: '存储位置' },
      notAKey: '（不是 key）',
      notAllowed: '（尚未允许读取）',
      inUse: (store) => `从${storeTitle(store)}读取 key`,
      asked: (socket) => `以上是 ${socket} 处后台进程的账户`,
      unused: (accounts, store, to) => ({
        message: `${storeTitle(store)}中有未使用的 key：${accounts.map(accountTitle).join('、')}`,
        hint: `如需移动：${program} move --to ${to.name}`,
      }),
      unseen: (store) => ({
        message: `${storeTitle(store)}已锁定，其中的 key 没有列出`,
        hint: `列出它们：${program} list --store ${store.name}`,
      }),
    },
    inspect: {
      labels: {
        header: '头部',
        claims: '声明',
        signature: '签名',
        issued: '签发',
        expires: '到期',
        signer: '签名者',
        problem: '问题',
        problems: '问题',
      },
      signature: (start, characters) => `${start}…（${characters} 个字符）`,
      time: (utc, fromNowMs) => {
        const distance = duration(Math.abs(fromNowMs));
        return `${utc} UTC，${fromNowMs > 0 ? `${distance}后` : `${distance}前`}`;
      },
      timeMissing: '没有写明',
      signedBy: (account, store) => `${storeTitle(store)}中 ${keyFor(account)}`,
      signedByOther: '不是已保存的、api_key 相同的那个 key',
      signerUnknown: (reason) => `未知：${reason}`,
      noSuchKey: '没有保存 api_key 相同的 key',
      problem: (problem) => describeProblem(problem, program),
    },
    doctor: {
      levels: { ok: '正常', warning: '警告', failure: '失败', unchecked: '未检查' },
      environment: {
        message: '已设置 GLM_API_KEY，将优先使用它；从这里启动的每个程序都能读到这个 key',
        hint: '日常使用请保存 key，并取消设置 GLM_API_KEY',
      },
      environmentUnused: {
        message:
          '已设置 GLM_API_KEY，但 GLM_TOKEN_SOCKET 优先；从这里启动的每个程序都能读到这个 key',
        hint: '请取消设置不需要的那一个',
      },
      helperAnswers: (path, version, store) =>
        `已设置 GLM_TOKEN_SOCKET：glm-token ${version} 在 ${path} 应答，key 来自${store}`,
      tokenCame: (account) => `后台进程给出了 ${accountTitle(account)} 的令牌，格式正确`,
      passphraseFileOpen: (path) => ({
        message: `其他用户可以读取 ${path} 中的口令`,
        hint: `请运行：chmod 600 ${shellQuote(path)}`,
      }),
      lockedUntilNeeded: (store) => `${storeTitle(store)}，已锁定；下次请求时会提示输入口令`,
      store: storeTitle,
      perils: {
        memory: '位于内存中，重启后 key 会丢失',
        container: '位于容器中，key 会随容器一起消失',
        session: '默认密钥环只在会话内有效，注销后 key 会丢失',
      },
      keepElsewhere: '请在别处另存一份 key',
      keyWellFormed: (id, account, name) =>
        `${accountTitle(account)} 的 key ${id}${name ? `（由 ${name} 输出）` : ' '}格式正确`,
      hostAnswers: (host, ms, proxy) =>
        `${host} 在 ${Math.round(ms)} 毫秒内响应${proxy ? `（经代理 ${proxy}）` : ''}`,
      clockUnknown: (host) => ({
        message: `${host} 没有给出时间`,
        hint: '请把本机时钟与其他时钟核对',
      }),
      clockRight: (host, offMs) => `与 ${host} 相差不超过 ${duration(offMs)}`,
      clockOff: (host, offsetMs, ttlMs, command) => ({
        message: `比 ${host} ${offsetMs > 0 ? '慢' : '快'} ${duration(Math.abs(offsetMs))}，因此令牌${offsetMs < 0 ? '的签发时间在未来' : offsetMs < ttlMs ? '在那里会提前这么久过期，可能被拒绝' : '送达时已过期'}`,
        hint: `请校准时钟：${command}`,
      }),
      asAdministrator: (command) => `${command}（以管理员身份）`,
      clockFirst: '请先按上面的提示校准时钟：时钟不准就足以让服务拒绝令牌',
      notTried: (account) => ({
        message: '没有试过服务是否接受这个 key',
        hint: `如需一试：${program} doctor --live${account ? flagsOf(account) : ''}`,
      }),
    },
    daemon: {
      listening: (path, accounts) => ({
        message: `正在监听 ${path}${accounts ? `，只提供这些账户：${accounts.map(accountTitle).join('、')}` : ''}`,
        hint: `在环境中设置 GLM_TOKEN_SOCKET=${shellQuote(path)} 的程序会使用它`,
      }),
    },
  };
}

function describeProblem(problem: Problem, program: string): { message: string; hint: string } {
  switch (problem.what) {
    case 'alg':
      return {
        message: problem.found
          ? `alg 是 ${problem.found}，而服务只接受 HS256`
          : '缺少 alg，服务只接受 HS256',
        hint: '请用 HMAC 和 SHA-256 签名',
      };
    case 'sign_type':
      return {
        message: problem.found ? `头部的 sign_type 是 ${problem.found}` : '头部缺少 sign_type',
        hint: '请在头部加上 "sign_type": "SIGN"',
      };
    case 'api_key missing':
      return { message: '缺少 api_key', hint: '请设为 key 的 id，即点号之前的部分' };
    case 'whole key':
      return {
        message: `${problem.claim} 中是完整的 key，连同 secret，任何人都能读到`,
        hint: '请在 api_key 中只放 id，并在控制台更换这个 key：它已经泄露',
      };
    case 'time missing':
      return { message: `缺少 ${problem.claim}`, hint: '请加上，单位为 1970 年以来的毫秒数' };
    case 'time fractional':
      return { message: `${problem.claim} 不是整数`, hint: '请使用 1970 年以来的毫秒数' };
    case 'time unit':
      return {
        message: `${problem.claim} 的单位是${TIME_UNITS[problem.unit]}，而服务要求毫秒`,
        hint: '请使用 1970 年以来的毫秒数，共 13 位',
      };
    case 'exp before timestamp':
      return { message: 'exp 不晚于 timestamp', hint: '请把 exp 设为 timestamp 加有效期' };
    case 'from the future':
      return {
        message: `签发时间比本机时钟晚 ${duration(problem.byMs)}：有一方的时钟不准`,
        hint: `与服务核对本机时钟：${program} doctor`,
      };
    case 'expired':
      return {
        message: `已过期 ${duration(problem.byMs)}`,
        hint: `签发新的令牌：${program} print；如果它刚刚签发，就是有效期（--ttl）太短，或时钟不准：${program} doctor`,
      };
    case 'signature':
      return {
        message: '签名与已保存的、api_key 相同的 key 不符',
        hint: `请用 secret 的 UTF-8 字节签名，或重新保存 key：${program} store --force`,
      };
  }
}

const TIME_UNITS = {
  seconds: '秒',
  milliseconds: '毫秒',
  microseconds: '微秒',
  nanoseconds: '纳秒',
} as const;
