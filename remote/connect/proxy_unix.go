//go:build unix

package connect

import (
	"net"
	"os/exec"
)

// proxyCommand runs a command whose standard streams lead to the host. The names in it were
// checked to hold nothing that a shell acts on.
func proxyCommand(command string) (net.Conn, error) {
	return startProcess(exec.Command("/bin/sh", "-c", "exec "+command))
}
