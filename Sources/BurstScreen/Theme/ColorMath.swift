/// A colour in linear light, each channel 0 to 1. Mixing, luminance and the simulations of colour blindness are right
/// only here.
package struct LinearRGB: Hashable, Sendable {
    package var red: Double
    package var green: Double
    package var blue: Double

    package init(red: Double, green: Double, blue: Double) {
        self.red = red
        self.green = green
        self.blue = blue
    }

    package init(_ color: RGB) {
        self.init(
            red: Self.decoded[Int(color.red)],
            green: Self.decoded[Int(color.green)],
            blue: Self.decoded[Int(color.blue)])
    }

    /// Relative luminance, 0 to 1 (WCAG 2, with the weights of sRGB).
    package var luminance: Double { 0.2126 * red + 0.7152 * green + 0.0722 * blue }

    /// The nearest colour of 8 bits; what lies outside is clipped.
    package var encoded: RGB {
        RGB(red: Self.encode(red), green: Self.encode(green), blue: Self.encode(blue))
    }

    private static func encode(_ value: Double) -> UInt8 {
        var low = 0
        var high = 255
        while low < high {
            let middle = (low + high) / 2
            if decoded[middle] < value { low = middle + 1 } else { high = middle }
        }
        if low > 0, value - decoded[low - 1] < decoded[low] - value { low -= 1 }
        return UInt8(low)
    }

    /// The sRGB curve (IEC 61966-2-1) at each of the 256 steps. x^2.4 is x squared times the fifth root of x squared.
    private static let decoded: [Double] = (0...255).map { step in
        let value = Double(step) / 255
        if value <= 0.04045 { return value / 12.92 }
        let base = (value + 0.055) / 1.055
        return base * base * root(base * base, 5)
    }

    /// The n-th root of a number from 0 to 1, by Newton's method; Swift has no such function without a C library.
    static func root(_ value: Double, _ degree: Int) -> Double {
        guard value > 0 else { return 0 }
        var guess = 1.0
        for _ in 0..<stepsMax {
            var power = 1.0
            for _ in 1..<degree { power *= guess }
            let next = guess - (power * guess - value) / (Double(degree) * power)
            // From above the steps only go down, until rounding stops them.
            if next >= guess { break }
            guess = next
        }
        return guess
    }
    private static let stepsMax = 100
}

/// A colour where equal distances look about equally different (Björn Ottosson, 2020). Lightness is 0 to 1; a distance
/// of 0.02 is just seen between two large patches.
package struct OKLab: Hashable, Sendable {
    package var lightness: Double
    package var a: Double
    package var b: Double

    package init(lightness: Double, a: Double, b: Double) {
        self.lightness = lightness
        self.a = a
        self.b = b
    }

    package init(_ color: RGB) { self.init(LinearRGB(color)) }

    package init(_ color: LinearRGB) {
        let long = 0.4122214708 * color.red + 0.5363325363 * color.green + 0.0514459929 * color.blue
        let medium = 0.2119034982 * color.red + 0.6806995451 * color.green + 0.1073969566 * color.blue
        let short = 0.0883024619 * color.red + 0.2817188376 * color.green + 0.6299787005 * color.blue
        let l = LinearRGB.root(long, 3)
        let m = LinearRGB.root(medium, 3)
        let s = LinearRGB.root(short, 3)
        lightness = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s
        a = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s
        b = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s
    }

    /// Back to light. Channels below 0 or above 1 mean that no screen shows this colour.
    package var linear: LinearRGB {
        let l = lightness + 0.3963377774 * a + 0.2158037573 * b
        let m = lightness - 0.1055613458 * a - 0.0638541728 * b
        let s = lightness - 0.0894841775 * a - 1.2914855480 * b
        let (long, medium, short) = (l * l * l, m * m * m, s * s * s)
        return LinearRGB(
            red: 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            green: -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            blue: -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short)
    }

    package func distance(to other: OKLab) -> Double {
        let (dl, da, db) = (lightness - other.lightness, a - other.a, b - other.b)
        return (dl * dl + da * da + db * db).squareRoot()
    }

    /// The colour on the straight way to another: 0 is this one, 1 the other.
    package func mixed(with other: OKLab, _ share: Double) -> OKLab {
        OKLab(
            lightness: lightness + (other.lightness - lightness) * share,
            a: a + (other.a - a) * share,
            b: b + (other.b - b) * share)
    }
}

/// Whose eyes look.
package enum Sight: CaseIterable, Hashable, Sendable {
    case normal
    /// Without the red receptor.
    case protanopia
    /// Without the green receptor.
    case deuteranopia
    /// Without the blue receptor.
    case tritanopia

    /// How these eyes see a colour: the matrices of Machado, Oliveira and Fernandes (2009) for full severity, in linear
    /// light, clipped to what a screen shows.
    package func seen(_ color: LinearRGB) -> LinearRGB {
        let rows: [(Double, Double, Double)]
        switch self {
        case .normal: return color
        case .protanopia:
            rows = [
                (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
            ]
        case .deuteranopia:
            rows = [
                (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
            ]
        case .tritanopia:
            rows = [
                (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900),
            ]
        }
        let channels = rows.map { row in
            min(1, max(0, row.0 * color.red + row.1 * color.green + row.2 * color.blue))
        }
        return LinearRGB(red: channels[0], green: channels[1], blue: channels[2])
    }

    /// How different two colours look to these eyes, in OKLab.
    package func distance(_ one: RGB, _ other: RGB) -> Double {
        OKLab(seen(LinearRGB(one))).distance(to: OKLab(seen(LinearRGB(other))))
    }
}

/// Contrast as WCAG 2 defines it (success criterion 1.4.3), 1 to 21.
package enum Contrast {
    package static func ratio(_ one: RGB, _ other: RGB) -> Double {
        let (a, b) = (LinearRGB(one).luminance, LinearRGB(other).luminance)
        return (max(a, b) + 0.05) / (min(a, b) + 0.05)
    }
}
