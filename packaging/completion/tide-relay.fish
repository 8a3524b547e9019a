# Completion of tide-relay for fish.


function __tide_relay_at
    # Whether these are the words without a dash before the cursor, the program apart.
    set -l words (string match -v -- '-*' (commandline -opc))[2..-1]
    test "$words" = "$argv"
end
function __tide_relay_in
    set -l words (string match -v -- '-*' (commandline -opc))[2..-1]
    test "$words[1..$(count $argv)]" = "$argv"
end
function __tide_relay_sinks
    tide-relay plugins list 2>/dev/null | string replace -rf '.* sink_type (\S+).*' '$1' | string split '|'
end

complete -c tide-relay -f
complete -c tide-relay -l help -d 'Explain the command'
complete -c tide-relay -n "__tide_relay_at" -l version -d 'Show the version'
complete -c tide-relay -n "__tide_relay_at" -a init -d 'Install or upgrade the schema tide'
complete -c tide-relay -n "__tide_relay_at" -a run -d 'Deliver events'
complete -c tide-relay -n "__tide_relay_at" -a check -d 'Validate the configuration'
complete -c tide-relay -n "__tide_relay_at" -a status -d 'Show pipelines, their lag and their last error'
complete -c tide-relay -n "__tide_relay_at" -a accept-restore -d 'Go on in a database that was restored'
complete -c tide-relay -n "__tide_relay_at" -a plugins -d 'Show, write and test sink plugins'
complete -c tide-relay -n "__tide_relay_at" -a dead-letters -d 'Look at rejected events, send or discard them'
for command in init run check status accept-restore 'dead-letters list' 'dead-letters retry' 'dead-letters discard'
    complete -c tide-relay -n "__tide_relay_in $command" -l config -r -F -d 'Configuration file'
    complete -c tide-relay -n "__tide_relay_in $command" -l postgres-url -x -d 'PostgreSQL'
end
complete -c tide-relay -n "__tide_relay_in init" -l take-over -d 'Make the schema independent of the extension'
complete -c tide-relay -n "__tide_relay_in run" -l once -d 'Deliver what is committed now, then exit'
complete -c tide-relay -n "__tide_relay_in check" -l connect -d 'Reach PostgreSQL and every sink'
complete -c tide-relay -n "__tide_relay_in status" -l json -d 'As JSON'

complete -c tide-relay -n "__tide_relay_in plugins" -l config -r -F -d 'Configuration file'
complete -c tide-relay -n "__tide_relay_at plugins" -a list -d 'The plugins that are installed'
complete -c tide-relay -n "__tide_relay_at plugins" -a info -d "A plugin's options, as a table"
complete -c tide-relay -n "__tide_relay_at plugins" -a new -d 'Write a project for a plugin of your own'
complete -c tide-relay -n "__tide_relay_at plugins" -a test -d 'Try a plugin against the rules'
complete -c tide-relay -n "__tide_relay_in plugins info" -a '(__tide_relay_sinks)'
complete -c tide-relay -n "__tide_relay_in plugins new" -l language -x -a 'c c++' -d 'Of the source'
complete -c tide-relay -n "__tide_relay_in plugins new" -l build -x -a 'meson cmake' -d 'Build system'
complete -c tide-relay -n "__tide_relay_in plugins new" -l dir -r -F -d 'Where to'
complete -c tide-relay -n "__tide_relay_in plugins test" -F
complete -c tide-relay -n "__tide_relay_in plugins test" -l sink-config -r -F -d 'Publish to the sink of this file'

complete -c tide-relay -n "__tide_relay_at dead-letters" -a list -d 'The dead letters, oldest first'
complete -c tide-relay -n "__tide_relay_at dead-letters" -a retry -d 'Send them again'
complete -c tide-relay -n "__tide_relay_at dead-letters" -a discard -d 'Remove them for good'
complete -c tide-relay -n "__tide_relay_in dead-letters" -l pipeline -x -d 'Those of this pipeline'
complete -c tide-relay -n "__tide_relay_in dead-letters list" -l json -d 'As JSON, with payload and headers'
for command in retry discard
    complete -c tide-relay -n "__tide_relay_in dead-letters $command" -l id -x -d 'Those with these ids'
    complete -c tide-relay -n "__tide_relay_in dead-letters $command" -l all -d 'Those of every pipeline'
end
