# Completion for narwhal-plugin(1) in fish.
set -l commands new build test run check inspect call flags
set -l none "not __fish_seen_subcommand_from $commands"
complete -c narwhal-plugin -f
complete -c narwhal-plugin -n $none -s C -l directory -x -a '(__fish_complete_directories)' -d 'work in this folder'
complete -c narwhal-plugin -n $none -l version -d 'show the version'
complete -c narwhal-plugin -l help -d 'show the help'
complete -c narwhal-plugin -n $none -a new -d 'make a folder with a plugin, its test and a Makefile'
complete -c narwhal-plugin -n $none -a build -d 'build the plugin of the current folder'
complete -c narwhal-plugin -n $none -a test -d 'build and run its tests'
complete -c narwhal-plugin -n $none -a run -d 'build it, serve it, and reload it when a source changes'
complete -c narwhal-plugin -n $none -a check -d 'show what a file says of itself, then boot a worker with it'
complete -c narwhal-plugin -n $none -a inspect -d 'show the options of a plugin, without loading it'
complete -c narwhal-plugin -n $none -a call -d 'send a plugin one request, without a server'
complete -c narwhal-plugin -n $none -a flags -d 'print the flags of the compiler for a plugin'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from new flags' -l c -d 'in C'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from new flags' -l cpp -d 'in C++, the default'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from new flags' -l rust -d 'in Rust'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from run check inspect call' -F
complete -c narwhal-plugin -n '__fish_seen_subcommand_from check call' -s o -l option -x -d 'an option of the plugin: key=value'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from inspect' -l json -d 'write JSON'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from call' -s d -l data -x -d 'the body; @FILE, or @- for standard input'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from call' -s H -l header -x -d 'a header field'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from call' -l prefix -x -d 'where the plugin is mounted'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from call' -s t -l timeout -x -d 'seconds for the answer'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from call' -s i -l include -d 'print status and header fields'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from call' -l debug -d 'run the plugin in this process, for a debugger'
complete -c narwhal-plugin -n '__fish_seen_subcommand_from flags' -l test -d 'the flags of the linker for its test'
