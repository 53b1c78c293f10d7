# `deno task …` in Rookery's folder is completed by its tasks, anything else as before.

rookery_tasks() {
  deno run --quiet --no-prompt --config "$__rookery_root/deno.json" "$__rookery_root/tasks/completions.ts" "$@"
}

# What completed `deno` before, unless this file is read a second time.
__rookery_now=$(complete -p deno 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
[[ $__rookery_now == __rookery_deno ]] || __rookery_before=$__rookery_now
unset __rookery_now

__rookery_deno() {
  if [[ ${COMP_WORDS[1]-} != task || $COMP_CWORD -lt 2 || "$(pwd -P)/" != "$__rookery_root"/* ]]; then
    [[ -z $__rookery_before ]] || "$__rookery_before" "$@"
    return
  fi
  # Bash splits words at colons, as in `vk:fake` and `http://…`: what stands together is one word again.
  local word last=-1 rest=${COMP_LINE:0:COMP_POINT} apart
  local -a whole=()
  for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    apart=
    while [[ $rest == [[:space:]]* ]]; do
      rest=${rest:1}
      apart=1
    done
    if ((last >= 0)) && [[ -z $apart && ($word == :* || ${whole[last]} == *:) ]]; then
      whole[last]+=$word
    else
      whole[++last]=$word
    fi
    rest=${rest:${#word}}
  done
  COMP_WORDS=("${whole[@]}")
  COMP_CWORD=$last
  _rookery_tasks "$@"
  # Only what follows the last colon is replaced.
  local i shown=${whole[last]}
  if [[ $shown == *:* && $COMP_WORDBREAKS == *:* ]]; then
    shown=${shown%"${shown##*:}"}
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$shown"}; done
  fi
}

complete -o bashdefault -o default -F __rookery_deno deno
