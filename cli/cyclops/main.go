// Command cyclops is the client; `cyclops executor …` is the executor.
package main

import (
	"os"

	"github.com/cyclops-fpga/cyclops/cli"
	"github.com/cyclops-fpga/cyclops/executor"
)

func main() { os.Exit(cli.Main(os.Args, executor.Main)) }
