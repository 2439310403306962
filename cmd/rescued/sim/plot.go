package sim

import (
	"fmt"
	"html"
	"io"
	"math"
	"strconv"
	"strings"
)

// Panel is one chart of a plot: lines over a common horizontal axis.
type Panel struct {
	Title  string
	X, Y   string // what the axes show, with units
	Series []Series
}

// Series is one line. A policy has the same colour in every panel.
type Series struct {
	Name string
	X, Y []float64 // of equal length, X ascending
}

// The look of a plot, in pixels.
const (
	panelWidth, panelHeight = 460, 320
	padLeft, padRight       = 64, 16
	padTop, padBottom       = 40, 48
	legendHeight            = 34
)

// strokes are told apart by people who do not see all colours alike, and by
// their dashes without any colour.
var strokes = []struct{ colour, dash string }{
	{"#0072b2", ""}, {"#d55e00", "7 3"}, {"#009e73", "2 3"}, {"#cc79a7", "9 3 2 3"},
}

// WritePlot draws panels in two columns as one SVG picture.
func WritePlot(w io.Writer, title string, panels []Panel) error {
	columns := min(2, len(panels))
	rows := (len(panels) + columns - 1) / columns
	width, height := columns*panelWidth, rows*panelHeight+legendHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="system-ui, sans-serif" font-size="12" fill="#222">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", html.EscapeString(title))
	styles := legend(&b, panels)
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%columns*panelWidth, legendHeight+i/columns*panelHeight)
		p.draw(&b, styles)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// legend names the lines, and gives each name its stroke.
func legend(b *strings.Builder, panels []Panel) map[string]string {
	styles := map[string]string{}
	x := padLeft
	for _, p := range panels {
		for _, s := range p.Series {
			if _, has := styles[s.Name]; has {
				continue
			}
			stroke := strokes[len(styles)%len(strokes)]
			styles[s.Name] = fmt.Sprintf(`stroke="%s" stroke-dasharray="%s"`, stroke.colour, stroke.dash)
			fmt.Fprintf(b, `<path d="M%d 18h28" stroke-width="2" %s/><text x="%d" y="22">%s</text>`+"\n", x, styles[s.Name], x+34, html.EscapeString(s.Name))
			x += 34 + 8*len(s.Name) + 28
		}
	}
	return styles
}

func (p Panel) draw(b *strings.Builder, styles map[string]string) {
	x, y := p.axes()
	plotX := func(v float64) float64 { return padLeft + x.at(v)*(panelWidth-padLeft-padRight) }
	plotY := func(v float64) float64 { return panelHeight - padBottom - y.at(v)*(panelHeight-padTop-padBottom) }
	fmt.Fprintf(b, `<text x="%d" y="22" font-size="14" font-weight="600">%s</text>`+"\n", padLeft, html.EscapeString(p.Title))
	for _, tick := range y.ticks() {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			padLeft, plotY(tick), panelWidth-padRight, padLeft-8, plotY(tick)+4, number(tick))
	}
	for _, tick := range x.ticks() {
		fmt.Fprintf(b, `<path d="M%.1f %dv5" stroke="#888"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			plotX(tick), panelHeight-padBottom, plotX(tick), panelHeight-padBottom+18, number(tick))
	}
	fmt.Fprintf(b, `<path d="M%d %dH%d" stroke="#888"/>`+"\n", padLeft, panelHeight-padBottom, panelWidth-padRight)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (panelWidth+padLeft-padRight)/2, panelHeight-10, html.EscapeString(p.X))
	fmt.Fprintf(b, `<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (panelHeight+padTop-padBottom)/2, html.EscapeString(p.Y))
	for _, s := range p.Series {
		var line, dots strings.Builder
		for i := range s.X {
			fmt.Fprintf(&line, "%s%.1f %.1f", []string{"L", "M"}[btoi(i == 0)], plotX(s.X[i]), plotY(s.Y[i]))
			fmt.Fprintf(&dots, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="#fff" %s><title>%s: %s, %s</title></circle>`,
				plotX(s.X[i]), plotY(s.Y[i]), strings.Split(styles[s.Name], " stroke-dash")[0], html.EscapeString(s.Name), number(s.X[i]), number(s.Y[i]))
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke-width="2" %s/>%s`+"\n", line.String(), styles[s.Name], dots.String())
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// axis is a range with round ends.
type axis struct{ low, high, step float64 }

// axes spans all lines; the vertical one begins at zero, unless all values
// stand close together far above it.
func (p Panel) axes() (x, y axis) {
	xLow, xHigh, yLow, yHigh := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, s := range p.Series {
		for i := range s.X {
			xLow, xHigh = min(xLow, s.X[i]), max(xHigh, s.X[i])
			yLow, yHigh = min(yLow, s.Y[i]), max(yHigh, s.Y[i])
		}
	}
	if yLow < yHigh*0.8 {
		yLow = min(0, yLow)
	}
	return newAxis(xLow, xHigh), newAxis(yLow, yHigh)
}

func newAxis(low, high float64) axis {
	if !(high > low) {
		low, high = low-1, low+1
	}
	if math.IsInf(low, 0) || math.IsNaN(low) { // no points at all
		low, high = 0, 1
	}
	raw := (high - low) / 5
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * unit
	for _, round := range []float64{1, 2, 5} {
		if raw <= round*unit {
			step = round * unit
			break
		}
	}
	return axis{math.Floor(low/step) * step, math.Ceil(high/step) * step, step}
}

func (a axis) at(v float64) float64 { return (v - a.low) / (a.high - a.low) }

func (a axis) ticks() []float64 {
	var out []float64
	for i := 0; ; i++ {
		tick := a.low + float64(i)*a.step
		if tick > a.high+a.step/2 {
			return out
		}
		out = append(out, tick)
	}
}

// number writes a figure as short as it is exact to six digits.
func number(v float64) string { return strconv.FormatFloat(rounded(v, 6), 'f', -1, 64) }
