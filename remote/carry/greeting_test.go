package carry

import (
	"net"
	"testing"

	"github.com/pkg/sftp"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/retry"
)

// A channel that another one's broken line cut while it said its first words was taken for a host
// that does not speak SFTP, and ended a fetch.
func TestGreetingThatIsCutMeansABrokenLine(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if host, err := listener.Accept(); err == nil {
			defer host.Close()
			buf := make([]byte, 64)
			_, _ = host.Read(buf) // the greeting, which is not answered
			conn.Close()
		}
	}()
	_, err = sftp.NewClientPipe(conn, conn)
	if err == nil {
		t.Fatal("a silent host was greeted")
	}
	if err := greetingFailed(t.Context(), err); !retry.Broken(err) || api.KindOf(err) != api.LostContact {
		t.Errorf("got %v", err)
	}
}
