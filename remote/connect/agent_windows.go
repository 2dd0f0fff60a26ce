package connect

import (
	"net"
	"os"

	"github.com/Microsoft/go-winio"
)

func agentSocket() string {
	if path := os.Getenv("SSH_AUTH_SOCK"); path != "" {
		return path
	}
	return `\\.\pipe\openssh-ssh-agent`
}

func dialAgent(path string) (net.Conn, error) { return winio.DialPipe(path, nil) }
