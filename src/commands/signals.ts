/** Signals that would end the process, for the subcommands that have something to end first. */

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** From now on, they are given to the callback instead. */
export function onSignal(callback: (signal: NodeJS.Signals) => void): void {
  for (const signal of SIGNALS) process.on(signal, () => callback(signal));
}
