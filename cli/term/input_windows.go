package term

import "os"

// await lets Read wait: a console cannot be waited for together with anything else.
func (i *Input) await() error { return nil }

func (i *Input) ready() bool { return true }

// Foreground is always true: consoles have no job control.
func Foreground(*os.File) bool { return true }
