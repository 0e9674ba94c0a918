"""`bay completion`: the scripts with which shells complete what is typed after `bay`."""

from __future__ import annotations

from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError

_BASH = """\
# bay completion for bash: source <(bay completion bash)
_bay() {
    local line current
    # Bash splits words at : and =; an image's tag and a flag's value belong to their word.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local words cword
        _get_comp_words_by_ref -n := -w words -i cword current
    else
        local words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
        current=${COMP_WORDS[COMP_CWORD]}
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        [ -n "$line" ] && COMPREPLY+=("${line%%$'\\t'*}")
    done < <("${words[0]}" __complete "${words[@]:1:cword}" 2>/dev/null)
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
}
complete -o default -F _bay bay
"""

_ZSH = """\
#compdef bay
# bay completion for zsh: source <(bay completion zsh), or as a file _bay on the fpath
_bay() {
    local -a found
    local line name
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        name=${line%%$'\\t'*}
        # A colon ends the name for _describe: those within it are escaped.
        found+=("${name//:/\\:}:${line#$name}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#found )); then _describe -t bay bay found; else _files; fi
}
compdef _bay bay
"""

_FISH = """\
# bay completion for fish: bay completion fish | source
function __bay_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c bay -f -a '(__bay_complete)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run_completion(app: App, parsed: Parsed) -> None:
    """Print the script of a shell."""
    shell = parsed.args[0]
    if shell not in _SCRIPTS:
        raise UsageError(f"no completion for {shell}: it is one of {', '.join(_SCRIPTS)}")
    app.out(_SCRIPTS[shell].rstrip("\n"))


COMPLETION = Command(
    "completion SHELL",
    "Print the completion script of a shell: bash, zsh or fish",
    run_completion,
    least=1,
    most=1,
)
