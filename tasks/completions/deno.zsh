# `deno task …` in Rookery's folder is completed by its tasks, anything else as before.

rookery_tasks() {
  deno run --quiet --no-prompt --config "$__rookery_root/deno.json" "$__rookery_root/tasks/completions.ts" "$@"
}

# What completed `deno` before, unless this file is read a second time.
[[ ${_comps[deno]-} == __rookery_deno ]] || __rookery_before=${_comps[deno]-}

__rookery_deno() {
  if [[ ${words[2]-} == task && $CURRENT -ge 3 && "$(pwd -P)/" == "$__rookery_root"/* ]]; then
    _rookery_tasks
  elif [[ -n $__rookery_before ]]; then
    $__rookery_before "$@"
  fi
}

compdef __rookery_deno deno
