// Command cyclopsd runs jobs on the machine it is on.
package main

import (
	"os"

	"github.com/cyclops-fpga/cyclops/executor"
)

func main() { os.Exit(executor.Main(os.Args[1:])) }
