"""Completion of the command line in a shell: scripts that are printed once and know all words.

A script holds the words themselves, from the tables of `rnnzoo.modes`, `rnnzoo.config` and the registry
as they are when it is printed. So a key press starts no Python, which with JAX takes seconds. (shtab
and argcomplete, which do the like, read argparse; the flags here are absl's and ml_collections'.)
"""

from collections.abc import Mapping, Sequence

from rnnzoo import config as configs
from rnnzoo import corpus, registry
from rnnzoo.command_line import keys_of
from rnnzoo.modes import FLAGS, MODES, SHELL, SHELLS, flags_of

FILES, FOLDERS = "@files", "@folders"  # for a value that is a path


def script(shell: str) -> str:
    """The script that a shell reads to complete `rnnzoo`."""
    template = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell]
    case = _switch if shell == "fish" else _case
    rest = {name: _rest(name) for name in MODES}
    return (
        template.replace("{modes}", " ".join(MODES))
        .replace("{words}", case({name: words(name) for name in MODES}))
        .replace("{rest}", case(rest))
        .replace("{values}", case(values()))
    )


def words(mode: str) -> list[str]:
    """All flags and config keys of a mode; one that needs a value ends in '='."""
    own = ["--help", *(f"--{f.name}" + ("" if f.kind is bool else "=") for f in flags_of(mode))]
    own += [f"--{f.alias}=" for f in flags_of(mode) if f.alias]
    return [*own, *(f"--config.{key}=" for key, _ in keys_of(mode))]


def values() -> dict[str, list[str]]:
    """The values of flags and config keys, where they are few or paths."""
    found = {"--mode": list(MODES)}
    paths = {"FILE": [FILES], "FOLDER": [FOLDERS]}
    for flag in FLAGS.values():
        own = list(flag.choices) or paths.get(flag.value, [])
        found |= {f"--{name}": own for name in (flag.name, flag.alias) if name and own}
    for key, default in keys_of("train"):
        if isinstance(default, bool):
            found[f"--config.{key}"] = ["True", "False"]
    found |= {f"--config.{key}": list(choices) for key, choices in configs.CHOICES.items()}
    found["--config.cell.name"] = registry.names()
    found["--config.corpus.name"] = corpus.names()
    return found | {"--config.corpus.path": [FILES], "--config.corpus.cache_dir": [FOLDERS]}


def _rest(mode: str) -> list[str]:
    """What a mode's words may be."""
    kind = MODES[mode].words
    return list(SHELLS) if kind == SHELL else [FOLDERS] if kind else []


def _case(table: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(f"    {key}) echo '{' '.join(found)}' ;;" for key, found in table.items())


def _switch(table: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(
        f"        case '{key}'\n            printf '%s\\n' {' '.join(found)}"
        for key, found in table.items()
        if found
    )


# Common to bash and zsh: what a mode takes, and the values of a flag.
_TABLES = """\
_rnnzoo_words() {
  case "$1" in
{words}
  esac
}

_rnnzoo_rest() {
  case "$1" in
{rest}
  esac
}

_rnnzoo_values() {
  case "$1" in
{values}
  esac
}

_rnnzoo_mode() {
  local word
  for word in "$@"; do
    case " {modes} " in
      *" ${word#--mode=} "*) echo "${word#--mode=}"; return ;;
    esac
  done
}
"""

BASH = (
    "# bash completion of rnnzoo, printed by: rnnzoo completion bash\n"
    + _TABLES
    + r"""
_rnnzoo() {
  # bash's own words are split at = too: the line is taken instead.
  local line="${COMP_LINE:0:COMP_POINT}" words current before mode option found
  current="${line##*[[:space:]]}"
  read -ra words <<< "${line%"$current"}"
  before="${words[${#words[@]} - 1]}"
  mode=$(_rnnzoo_mode "${words[@]:1}")
  COMPREPLY=()
  if [[ $current == -*=* ]]; then
    option="${current%%=*}" current="${current#*=}"
    found=$(_rnnzoo_values "$option")
  elif [[ $current != -* && -n $(_rnnzoo_values "$before") ]]; then
    option= found=$(_rnnzoo_values "$before")
  elif [[ $current == -* ]]; then
    option= found=$(_rnnzoo_words "${mode:-train}")
    [[ -n $mode ]] || found+=" --mode="
  elif [[ -z $mode ]]; then
    option= found="{modes}"
  else
    option= found=$(_rnnzoo_rest "$mode")
  fi
  case "$found" in
    @files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    @folders) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$found" -- "$current") ;;
  esac
  if [[ -n $option && $COMP_WORDBREAKS != *=* ]]; then
    COMPREPLY=("${COMPREPLY[@]/#/$option=}")
  fi
  if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace
  fi
} 2> /dev/null

complete -F _rnnzoo rnnzoo
"""
)

ZSH = (
    "#compdef rnnzoo\n# zsh completion of rnnzoo, printed by: rnnzoo completion zsh\n"
    + _TABLES
    + r"""
_rnnzoo() {
  local mode found before="${words[CURRENT - 1]}"
  mode=$(_rnnzoo_mode "${(@)words[2,CURRENT-1]}")
  if [[ $PREFIX == -*=* ]]; then
    found=$(_rnnzoo_values "${PREFIX%%=*}")
    compset -P '*='
  elif [[ $PREFIX != -* && -n $(_rnnzoo_values "$before") ]]; then
    found=$(_rnnzoo_values "$before")
  elif [[ $PREFIX == -* ]]; then
    found=$(_rnnzoo_words "${mode:-train}")
    [[ -n $mode ]] || found+=" --mode="
  elif [[ -z $mode ]]; then
    found="{modes}"
  else
    found=$(_rnnzoo_rest "$mode")
  fi
  case "$found" in
    @files) _files ;;
    @folders) _files -/ ;;
    *)
      compadd -S '' -- ${(M)${(s: :)found}:#*=}
      compadd -- ${${(s: :)found}:#*=}
      ;;
  esac
}

if [[ $funcstack[1] == _rnnzoo ]]; then
  _rnnzoo "$@"
else
  compdef _rnnzoo rnnzoo
fi
"""
)

FISH = r"""# fish completion of rnnzoo, printed by: rnnzoo completion fish
function __rnnzoo_words
    switch $argv[1]
{words}
    end
end

function __rnnzoo_rest
    switch $argv[1]
{rest}
    end
end

function __rnnzoo_values
    switch $argv[1]
{values}
    end
end

function __rnnzoo_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l mode
    set -l option
    for word in $before[2..]
        set -l name (string replace -- --mode= '' $word)
        if contains -- $name {modes}
            set mode $name
            break
        end
    end
    set -l found
    set -l own (__rnnzoo_values "$before[-1]")
    if string match -q -- '-*=*' "$current"
        set option (string split -m 1 = -- $current)[1]=
        set current (string split -m 1 = -- $current)[2]
        set found (__rnnzoo_values (string trim -r -c = -- $option))
    else if string match -q -- '-*' "$current"
        if test -n "$mode"
            set found (__rnnzoo_words $mode)
        else
            set found (__rnnzoo_words train) --mode=
        end
    else if test -n "$own"
        set found $own
    else if test -z "$mode"
        set found {modes}
    else
        set found (__rnnzoo_rest $mode)
    end
    switch "$found"
        case @files
            set found (__fish_complete_path $current)
        case @folders
            set found (__fish_complete_directories $current '')
    end
    for word in $found
        echo "$option$word"
    end
end

complete -c rnnzoo -f -a '(__rnnzoo_complete)'
"""
