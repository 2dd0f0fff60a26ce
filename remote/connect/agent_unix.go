//go:build unix

package connect

import (
	"net"
	"os"
)

// agentSocket is where the agent of whoever runs this process listens.
func agentSocket() string { return os.Getenv("SSH_AUTH_SOCK") }

func dialAgent(path string) (net.Conn, error) { return net.Dial("unix", path) }
