package connect

import (
	"strings"

	"github.com/cyclops-fpga/cyclops/remote/hosts"
)

// Quote makes one word of text for a POSIX shell.
func Quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// QuotePath is Quote for a path on a host, whose leading ~/ stands for the home there.
func QuotePath(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return `"$HOME"/` + Quote(rest)
	}
	return Quote(path)
}

// Shell wraps a script so that any login shell, csh and fish too, hands it to /bin/sh.
func Shell(script string) string { return "exec /bin/sh -c " + Quote(script) }

// DataDir is the executor's data directory on the host, perhaps with a leading ~/.
func DataDir(h hosts.Host) string {
	if h.Data != "" {
		return strings.TrimSuffix(h.Data, "/")
	}
	return "~/.cyclops"
}

// ExecutorPath is where the host's executor is, perhaps with a leading ~/.
func ExecutorPath(h hosts.Host) string {
	if h.Executor != "" {
		return h.Executor
	}
	return DataDir(h) + "/bin/current"
}

// noExecutor is the exit code of executorCommand where there is none.
const noExecutor = 127

// executorCommand runs a verb of the host's executor, which takes the place of the shell.
func executorCommand(h hosts.Host, verb string) string {
	script := "x=" + QuotePath(ExecutorPath(h)) + `; test -x "$x" || exit 127; exec "$x" ` + verb
	if h.Data != "" {
		script += " --data " + QuotePath(DataDir(h))
	}
	return Shell(script)
}
