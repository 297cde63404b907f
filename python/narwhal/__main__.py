from narwhal import main

main()
