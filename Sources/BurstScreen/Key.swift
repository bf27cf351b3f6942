/// A key press or another thing that a terminal reports, decoded.
package enum Key: Hashable, Sendable {
    /// A printable character, as typed.
    case character(Character)
    /// Control and a letter: `.control("c")`.
    case control(Character)
    case enter, escape, tab, backTab, backspace, delete
    case up, down, left, right, pageUp, pageDown, home, end
    /// F1 to F12.
    case function(Int)
    /// A mouse report, cells counted from 0. Only where the user asked for the mouse.
    case mouse(Mouse)
    /// The terminal gained or lost the focus, where it tells.
    case focus(Bool)
    /// A key that we do not know.
    case unknown

    package struct Mouse: Hashable, Sendable {
        package enum Button: Hashable, Sendable { case press, doubleClick, wheelUp, wheelDown }
        package var button: Button
        package var column: Int
        package var row: Int

        package init(_ button: Button, column: Int, row: Int) {
            self.button = button
            self.column = column
            self.row = row
        }
    }
}
