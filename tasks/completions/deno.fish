# `deno task …` in Rookery's folder is completed by its tasks.

function rookery_tasks
    deno run --quiet --no-prompt --config "$__rookery_root/deno.json" "$__rookery_root/tasks/completions.ts" $argv
end

function __rookery_in_task
    set -l words (commandline -poc)
    test (count $words) -ge 2; and test "$words[2]" = task; and string match -q -- "$__rookery_root/*" (pwd -P)/
end

complete -c deno -n __rookery_in_task -f -a '(__rookery_tasks_complete)'
