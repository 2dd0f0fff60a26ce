package connect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// maxHello bounds what a host may say before and in its Hello.
const maxHello = 64 << 10

// readHello reads the line that `dial` begins with. What a shell's start-up files print before
// it is passed over.
func readHello(r *bufio.Reader) (api.Hello, error) {
	var hello api.Hello
	for read := 0; read < maxHello; {
		line, err := r.ReadSlice('\n')
		read += len(line)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return hello, errNoHello
		}
		if !bytes.HasPrefix(line, []byte(`{"api":`)) {
			continue
		}
		if err := json.Unmarshal(line, &hello); err != nil {
			return hello, api.Errorf(api.Invalid, "", "unable to read the executor's first line: %w", err)
		}
		return hello, nil
	}
	return hello, api.Errorf(api.Invalid, "the login shell's start-up files print too much", "unable to find the executor's first line in %d bytes", maxHello)
}

// errNoHello says what is known of a dial that was killed.
var errNoHello = errors.New("it ended before it said who answers")

// checkHello tells whether the executor can be worked with.
func checkHello(host string, h api.Hello) error {
	if h.Error != nil {
		return h.Error
	}
	if h.API < api.MinVersion || h.MinAPI > api.Version {
		hint := "cyclops install " + host
		if h.MinAPI > api.Version {
			hint = "this cyclops is too old: upgrade it"
		}
		return api.Errorf(api.Incompatible, hint, "the executor on %s speaks version %d of the API, this cyclops version %d", host, h.API, api.Version)
	}
	return nil
}
