package executor

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/environ"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/samepath"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
)

const usage = `usage: cyclopsd VERB [--data DIR]
       cyclopsd check [--repair] [--json] [--data DIR]

  dial        start the daemon if none answers, say who it is, and join
              standard input and output to it; what a client calls over SSH
  serve       run the daemon in the foreground
  stop        end the daemon; jobs that run go on
  check       read every byte that is kept and say what is not as it was
              written; exits with 1 if something is damaged. --repair mends
              what can be and keeps what was damaged in DIR/damaged
  sftp        serve files on standard input and output
  version     print the version

DIR defaults to $CYCLOPS_DATA, else ~/.cyclops.
`

// Main runs the executor's verb in args and returns the process's exit code.
func Main(args []string) int {
	if len(args) > 0 && args[0] == role {
		args = args[1:]
	}
	self, verb := self(), ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	switch verb {
	case "supervise":
		return supervise.Main(context.Background(), os.Stdin, os.Stdout)
	case "enter":
		return samepath.Enter(args)
	case "env":
		return exit(environ.Print(os.Stdout))
	case "version":
		fmt.Println(api.BuildVersion())
		return 0
	case "sftp":
		return exit(serveFiles(os.Stdin, os.Stdout))
	case "dial", "serve", "stop", "check":
		return onData(verb, args, self)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprint(os.Stderr, usage)
	return 2
}

// onData runs a verb that needs a data directory.
func onData(verb string, args, self []string) int {
	data, o, err := parse(verb, args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cyclopsd: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch verb {
	case "dial":
		// What failed is in the line that it printed.
		return code(daemon.HandThrough(ctx, data, self, os.Stdin, os.Stdout))
	case "check":
		return exit(checkData(ctx, data, self, o, os.Stdout))
	case "serve":
		signal.Ignore(syscall.SIGHUP)
		return exit(daemon.Serve(ctx, data, self))
	}
	was, err := daemon.Stop(ctx, data)
	if err == nil && !was {
		fmt.Fprintln(os.Stderr, "cyclopsd: there is no daemon")
	}
	return exit(err)
}

// options are the flags beside --data.
type options struct{ repair, json bool }

func parse(verb string, args []string) (layout.Data, options, error) {
	flags := flag.NewFlagSet("cyclopsd "+verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("data", "", "")
	var o options
	if verb == "check" {
		flags.BoolVar(&o.repair, "repair", false, "")
		flags.BoolVar(&o.json, "json", false, "")
	}
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil || *dir == "" {
		data, defaultErr := layout.Default()
		return data, o, errors.Join(err, defaultErr)
	}
	abs, err := filepath.Abs(*dir)
	return layout.Data(abs), o, err
}

// role is the word that gives a binary of the client the executor's role; the executor's own
// binary takes it too.
const role = "executor"

// self returns the argv that gives this binary the executor's role again. It names the binary by
// this process: the file may be gone, as after `go run`, or be another version by now.
func self() []string { return []string{fmt.Sprintf("/proc/%d/exe", os.Getpid()), role} }

func exit(err error) int {
	if err != nil {
		fmt.Fprintf(os.Stderr, "cyclopsd: %v\n", err)
	}
	if e, ok := errors.AsType[*api.Error](err); ok && e.Hint != "" {
		fmt.Fprintf(os.Stderr, "hint: %s\n", e.Hint)
	}
	return code(err)
}

func code(err error) int {
	if err != nil {
		return 1
	}
	return 0
}
