package remote_test

import (
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote"
)

func TestParseForwardReadsWhatSSHReads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]remote.ForwardSpec{
		"3121:localhost:3121":      {Port: 3121, To: "localhost:3121"},
		"localhost:80:board.lab:1": {Port: 80, To: "board.lab:1"},
		"0:127.0.0.1:80":           {To: "127.0.0.1:80"},
		"*:1:h:2":                  {Bind: "*", Port: 1, To: "h:2"},
		":1:h:2":                   {Bind: "*", Port: 1, To: "h:2"},
		"10.0.0.1:1:h:2":           {Bind: "10.0.0.1", Port: 1, To: "h:2"},
		"[::1]:1:[fe80::1]:2":      {Bind: "::1", Port: 1, To: "[fe80::1]:2"},
		"1:[::1]:65535":            {Port: 1, To: "[::1]:65535"},
	} {
		if got, err := remote.ParseForward(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "3121", "3121:3121", "a:h:1", "1:h:0", "1:h:65536", "65536:h:1", "-1:h:1", "1:h:x", "1::2", "1:h h:2", "1:-h:2",
		"[::1:1:h:2", "[::1]x:1:h:2", "1:::1:2", "a:b:c:d:e",
	} {
		if got, err := remote.ParseForward(text); api.KindOf(err) != api.Usage {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}
