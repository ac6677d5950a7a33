"""`aimass completion`: what teaches the commands to a shell."""

from __future__ import annotations

from typing import Annotated

import typer

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_AIMASS_COMPLETE"
# bash breaks words at @ and :, which names of versions and addresses have in them: here they are whole
BASH = r"""
_aimass_completion() {
    local IFS=$' \t\n' line="${COMP_LINE:0:COMP_POINT}" words current broken
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]}-1]}"
    broken="${current%"${current##*[@:=]}"}"
    IFS=$'\n'
    COMPREPLY=( $( env COMP_WORDS="${words[*]}" COMP_CWORD=$(( ${#words[@]} - 1 )) \
                   _AIMASS_COMPLETE=complete_bash "$1" ) )
    COMPREPLY=( "${COMPREPLY[@]#"$broken"}" )
    return 0
}

complete -o default -F _aimass_completion aimass
"""


def completion(shell: Annotated[str, typer.Argument(help=f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}.",
                                                    autocompletion=lambda: list(SHELLS))]) -> None:
    """Print what teaches these commands, and the names that a server knows, to a shell. In ~/.bashrc or ~/.zshrc:
    eval "$(aimass completion bash)"; for fish: aimass completion fish | source"""
    if shell not in SHELLS:
        raise typer.BadParameter(f"it is one of {', '.join(SHELLS)}", param_hint="SHELL")
    if shell == "bash":
        typer.echo(BASH)
        return
    from typer._completion_shared import get_completion_script

    typer.echo(get_completion_script(prog_name="aimass", complete_var=VARIABLE, shell=shell))
