"""`bay completion`: the scripts with which shells complete what is typed after `bay`."""

from __future__ import annotations

from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError

_BASH = """\
# bay completion for bash: source <(bay completion bash)
_bay() {
    # Bash splits words at : and =, but an image's tag and a flag's value belong to their word:
    # the line is read anew, by blanks; what bash keeps of the last word is cut from the answers.
    local line current kept typed=${COMP_LINE:0:COMP_POINT}
    local -a words
    read -ra words <<<"$typed"
    [[ $typed == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]}-1]}
    kept=${current%"${current##*[$COMP_WORDBREAKS]}"}
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\\t'*}
        [ -n "$line" ] && COMPREPLY+=("${line#"$kept"}")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _bay bay
"""

_ZSH = """\
#compdef bay
# bay completion for zsh: source <(bay completion zsh), or as a file _bay on the fpath
_bay() {
    local -a found
    local line name about
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        name=${line%%$'\\t'*}
        about=${line#$name}
        # A colon ends the name for _describe: those within it are escaped.
        found+=("${name//:/\\:}${about:+:${about#$'\\t'}}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#found )); then _describe -t bay bay found; else _files; fi
}
# As a file on the fpath this is the body of the function, run for the first word completed.
if [[ ${funcstack[1]} == _bay ]]; then _bay "$@"; else compdef _bay bay; fi
"""

_FISH = """\
# bay completion for fish: bay completion fish | source
function __bay_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] __complete $words[2..-1] 2>/dev/null | string match -r '.+')
    if set -q found[1]
        printf '%s\\n' $found
    else
        # As the other shells: files, where nothing is known.
        __fish_complete_path (commandline -ct)
    end
end
complete -c bay -f -a '(__bay_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run_completion(app: App, parsed: Parsed) -> None:
    """Print the script of a shell."""
    shell = parsed.args[0]
    if shell not in SCRIPTS:
        raise UsageError(f"no completion for {shell}: it is one of {', '.join(SCRIPTS)}")
    app.out(SCRIPTS[shell].rstrip("\n"))


COMPLETION = Command(
    "completion SHELL",
    "Print the completion script of a shell: bash, zsh or fish",
    run_completion,
    least=1,
    most=1,
)
