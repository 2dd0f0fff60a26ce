package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/connect"
)

// readBack computes the digest of an upload here, for hosts that have no program for it.
func readBack(ctx context.Context, c *connect.Conn, upload string) (string, error) {
	h, err := Probe(ctx, c)
	if err != nil {
		return "", err
	}
	client, err := c.SFTP(ctx)
	if err != nil {
		return "", api.Errorf(api.NoExecutor, "install sha256sum there", "unable to verify the upload to %s: %w", c.Host().Name, err)
	}
	defer client.Close()
	f, err := client.Open(path.Join(h.Data, "bin", upload))
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
