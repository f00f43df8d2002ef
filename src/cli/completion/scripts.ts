/** The completion scripts. What to offer, the program says: see offer.ts. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof SHELLS)[number];

/**
 * Each asks `glm-token completion --offer SHELL` and gives it the words of the line up to the cursor.
 * The answer's first line is `words`, with a word on each line after it, or `commands`, or `files`.
 */
export const SCRIPTS: Readonly<Record<Shell, string>> = {
  // For bash 3.2, which macOS has. Where nothing is offered, bash offers files, by -o default: only
  // it knows how to quote them.
  bash: `# Completion of glm-token for bash 3.2 and later.
_glm_token() {
  local answer offer
  COMPREPLY=()
  {
    read -r answer
    while IFS= read -r offer; do COMPREPLY[\${#COMPREPLY[@]}]=$offer; done
  } < <(glm-token completion --offer bash "$COMP_WORDBREAKS" \\
    "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
  if [ "$answer" = commands ]; then
    while IFS= read -r offer; do COMPREPLY[\${#COMPREPLY[@]}]=$offer; done \\
      < <(compgen -c -- "\${COMP_WORDS[COMP_CWORD]}")
  fi
}
complete -o default -F _glm_token glm-token`,

  zsh: `#compdef glm-token
# Completion of glm-token for zsh.
_glm-token() {
  local -a before offers
  (( CURRENT > 2 )) && before=("\${(@Q)words[2,CURRENT-1]}")
  offers=("\${(@f)$(glm-token completion --offer zsh "\${before[@]}" "\${(Q)PREFIX}" \\
    2>/dev/null </dev/null)}")
  case $offers[1] in
    words) shift offers; (( $#offers )) && _describe 'glm-token' offers ;;
    commands) _command_names -e ;;
    files) _files ;;
  esac
}
if [[ $funcstack[1] == _glm-token ]]; then
  _glm-token "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
  compdef _glm-token glm-token
fi`,

  fish: `# Completion of glm-token for fish.
function __glm_token_offer
    set -l before (commandline -opc)
    set -l offers (glm-token completion --offer fish $before[2..-1] (commandline -ct) \\
        2>/dev/null </dev/null)
    switch "$offers[1]"
        case words
            printf '%s\\n' $offers[2..-1]
        case commands
            __fish_complete_command
        case files
            __fish_complete_path (commandline -ct)
    end
end
complete -c glm-token -f -a '(__glm_token_offer)'`,
};
