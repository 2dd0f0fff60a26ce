package tui

import (
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
)

// input is a line that is being typed at the bottom of the screen.
type input struct {
	line    textinput.Model
	label   string
	help    string
	suggest func(typed string) []string // whole lines; nil: nothing is offered
	change  func(m *Model, text string) tea.Cmd
	accept  func(m *Model, text string) tea.Cmd
	reject  func(m *Model) tea.Cmd
	history *[]string // lines of before, newest last
	back    int       // how far into them
}

// open begins to take a line.
func (m *Model) open(in *input, text string) tea.Cmd {
	in.line = textinput.New()
	in.line.Prompt = ""
	in.line.ShowSuggestions = in.suggest != nil
	in.line.CharLimit = 500
	in.line.SetVirtualCursor(false)
	in.line.SetStyles(textinput.Styles{Focused: textinput.StyleState{Suggestion: suggestionStyle(m.profile)}})
	in.line.SetValue(text)
	in.line.CursorEnd()
	m.input = in
	in.offer()
	return in.line.Focus()
}

func (in *input) offer() {
	if in.suggest != nil {
		in.line.SetSuggestions(in.suggest(in.line.Value()))
	}
}

// typed gives the line a key, or what its own commands bring.
func (m *Model) typed(msg tea.Msg) tea.Cmd {
	in := m.input
	if in == nil {
		return nil
	}
	if key, ok := msg.(tea.KeyPressMsg); ok {
		switch key.String() {
		case "enter":
			return m.accept(in)
		case "esc":
			m.input = nil
			if in.reject != nil {
				return in.reject(m)
			}
			return nil
		case "up", "down":
			if in.history != nil {
				in.recall(key.String())
				return m.changed(in)
			}
		}
	}
	before := in.line.Value()
	var cmd tea.Cmd
	in.line, cmd = in.line.Update(msg)
	if in.line.Value() == before {
		return cmd
	}
	in.offer()
	return tea.Batch(cmd, m.changed(in))
}

// pasted gives pasted text to what is being typed.
func (m *Model) pasted(msg tea.PasteMsg) tea.Cmd {
	if o, ok := m.overlay.(*palette); ok && m.input == nil && m.question == nil {
		o.add(msg.Content)
		return nil
	}
	return m.typed(msg)
}

func (m *Model) changed(in *input) tea.Cmd {
	if in.change == nil {
		return nil
	}
	return in.change(m, in.line.Value())
}

func (m *Model) accept(in *input) tea.Cmd {
	text := in.line.Value()
	m.input = nil
	if in.history != nil && text != "" {
		*in.history = append(*in.history, text)
	}
	return in.accept(m, text)
}

// recall puts a line of before in the place of this one.
func (in *input) recall(key string) {
	step := 1
	if key == "down" {
		step = -1
	}
	in.back = min(max(in.back+step, 0), len(*in.history))
	text := ""
	if in.back > 0 {
		text = (*in.history)[len(*in.history)-in.back]
	}
	in.line.SetValue(text)
	in.line.CursorEnd()
}

// render is the line in w cells, and the column of its cursor.
func (in *input) render(t *theme, w int) (text string, column int) {
	label := " " + in.label + " "
	room := max(4, w-width(label)-2)
	in.line.SetWidth(room)
	c := in.line.Cursor()
	column = width(label)
	if c != nil {
		column += c.X
	}
	return t.key.paint(label) + cut(in.line.View(), 0, w-width(label), true), column
}
