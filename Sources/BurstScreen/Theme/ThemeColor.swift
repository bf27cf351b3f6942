/// A colour in sRGB, 8 bits a channel.
package struct RGB: Hashable, Sendable {
    package var red: UInt8
    package var green: UInt8
    package var blue: UInt8

    package init(red: UInt8, green: UInt8, blue: UInt8) {
        self.red = red
        self.green = green
        self.blue = blue
    }

    /// From `0xRRGGBB`.
    package init(_ hex: UInt32) {
        self.init(red: UInt8(hex >> 16 & 0xff), green: UInt8(hex >> 8 & 0xff), blue: UInt8(hex & 0xff))
    }

    /// From `#rrggbb`, in either case; nil for anything else.
    package init?(text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 7, bytes[0] == UInt8(ascii: "#") else { return nil }
        var value: UInt32 = 0
        for byte in bytes.dropFirst() {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        self.init(value)
    }

    /// `#rrggbb`.
    package var text: String {
        let digits = [red, green, blue].map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "#" + digits.joined()
    }
}

/// A colour as themes name it and as a terminal can be told it.
package enum ThemeColor: Hashable, Sendable {
    /// The terminal's own foreground or background, whatever that is.
    case terminalDefault
    /// A colour of the terminal's palette. 0 to 15 are the user's own; 16 to 255 are the same nearly everywhere.
    case indexed(UInt8)
    case rgb(RGB)

    /// The names of colours 0 to 15, in that order.
    package static let ansiNames = [
        "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
        "bright-black", "bright-red", "bright-green", "bright-yellow",
        "bright-blue", "bright-magenta", "bright-cyan", "bright-white",
    ]

    /// What a theme file may write for a colour: `#rrggbb`, `color0` to `color255`, one of `ansiNames`, `default`.
    package init?(literal: String) {
        if literal == "default" {
            self = .terminalDefault
        } else if let index = Self.ansiNames.firstIndex(of: literal) {
            self = .indexed(UInt8(index))
        } else if literal.hasPrefix("color"), literal.utf8.count <= 8, let index = UInt8(literal.dropFirst(5)) {
            self = .indexed(index)
        } else if let rgb = RGB(text: literal) {
            self = .rgb(rgb)
        } else {
            return nil
        }
    }

    /// Whether this is one of the user's sixteen colours or the terminal's default: all that a `c16` override may name.
    package var isOnSixteenColorTerminals: Bool {
        switch self {
        case .terminalDefault: true
        case .indexed(let index): index < 16
        case .rgb: false
        }
    }

    /// The sRGB value, nil for the terminal's default. For colours 0 to 15 it is only the usual value (xterm's), since
    /// the user may have set them to anything.
    package var nominal: RGB? {
        switch self {
        case .terminalDefault: nil
        case .indexed(let index): XtermPalette.colors[Int(index)]
        case .rgb(let rgb): rgb
        }
    }
}

/// The 256 colours as xterm has them: 16 named ones, a cube of 6 x 6 x 6, 24 greys.
enum XtermPalette {
    static let colors: [RGB] = {
        var colors = named.map { RGB($0) }
        let steps: [UInt8] = [0, 95, 135, 175, 215, 255]
        for red in steps {
            for green in steps {
                for blue in steps { colors.append(RGB(red: red, green: green, blue: blue)) }
            }
        }
        for step in 0..<24 {
            let level = UInt8(8 + 10 * step)
            colors.append(RGB(red: level, green: level, blue: level))
        }
        return colors
    }()

    /// The same in OKLab, so that a search for the nearest is 256 small differences.
    static let labs: [OKLab] = colors.map { OKLab($0) }

    private static let named: [UInt32] = [
        0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
        0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
    ]
}
