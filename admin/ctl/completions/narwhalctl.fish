# Completion for narwhalctl(1) in fish.
set -l commands status workers top reload rollback scale kill reopen upgrade stop
complete -c narwhalctl -f
complete -c narwhalctl -s s -l socket -r -F -d 'the control socket'
complete -c narwhalctl -l json -d 'write JSON'
complete -c narwhalctl -s q -l quiet -d 'show no progress'
complete -c narwhalctl -l version -d 'show the version'
set -l none "not __fish_seen_subcommand_from $commands"
complete -c narwhalctl -n $none -a status -d 'show the state of the server'
complete -c narwhalctl -n $none -a workers -d 'show each worker and what it does now'
complete -c narwhalctl -n $none -a top -d 'show throughput, latencies and workers, live'
complete -c narwhalctl -n $none -a reload -d 'load settings and code again, and wait for the outcome'
complete -c narwhalctl -n $none -a rollback -d 'return to the generation before, and wait for the outcome'
complete -c narwhalctl -n $none -a scale -d 'change the number of workers'
complete -c narwhalctl -n $none -a kill -d 'replace a worker'
complete -c narwhalctl -n $none -a reopen -d 'open the log files again'
complete -c narwhalctl -n $none -a upgrade -d 'start the program at its path beside this one'
complete -c narwhalctl -n $none -a stop -d 'finish the requests and end the server'
complete -c narwhalctl -n '__fish_seen_subcommand_from reload rollback upgrade stop' -s t -l timeout -x -d 'seconds to wait'
complete -c narwhalctl -n '__fish_seen_subcommand_from kill stop' -l quick -d 'without finishing the requests'
complete -c narwhalctl -n '__fish_seen_subcommand_from kill' -a "(narwhalctl workers 2>/dev/null | awk 'NR > 1 {print \$2}')"
complete -c narwhalctl -n '__fish_seen_subcommand_from upgrade' -l finish -d 'then end the former master'
complete -c narwhalctl -n '__fish_seen_subcommand_from top' -s i -l interval -x -d 'seconds between two screens'
