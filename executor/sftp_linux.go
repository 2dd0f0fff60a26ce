package executor

import (
	"errors"
	"fmt"
	"io"

	"github.com/pkg/sftp"
)

// serveFiles is an SFTP server with this user's rights, for hosts whose sshd has none.
func serveFiles(in io.Reader, out io.WriteCloser) error {
	server, err := sftp.NewServer(duplex{in, out})
	if err != nil {
		return fmt.Errorf("unable to serve files: %w", err)
	}
	if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("unable to serve files: %w", err)
	}
	return nil
}

type duplex struct {
	io.Reader
	io.WriteCloser
}
