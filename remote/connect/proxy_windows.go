package connect

import (
	"net"
	"os/exec"
)

func proxyCommand(command string) (net.Conn, error) {
	return startProcess(exec.Command("cmd", "/c", command))
}
