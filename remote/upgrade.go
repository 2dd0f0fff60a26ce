package remote

import (
	"bufio"
	"net/http"
	"strconv"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// upgradeRequest asks for another protocol on an exchange.
func upgradeRequest(path, protocol string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: executor\r\nConnection: Upgrade\r\nUpgrade: " + protocol +
		"\r\n" + api.HeaderVersion + ": " + strconv.Itoa(api.Version) + "\r\n\r\n"
}

// readUpgrade reads the answer to it; what is what was asked for.
func readUpgrade(r *bufio.Reader, what string) error {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	defer response.Body.Close()
	if _, err := readResponse(response); err != nil {
		return err
	}
	return api.Errorf(api.Invalid, "", "the executor answered %s instead of %s", response.Status, what)
}
