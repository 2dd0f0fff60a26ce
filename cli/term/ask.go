package term

import (
	"bufio"
	"io"
	"strings"
)

// readLine reads up to the end of a line. What a terminal has behind it is left there.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReaderSize(r, 1).ReadString('\n')
	if err != nil && line == "" {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
