import BurstScreen
import Testing

@Suite struct ColorMathTests {
    @Test func contrastIsThatOfWCAG() {
        #expect(abs(Contrast.ratio(RGB(0x000000), RGB(0xffffff)) - 21) < 1e-9)
        #expect(abs(Contrast.ratio(RGB(0x767676), RGB(0xffffff)) - 4.54) < 0.005)
        #expect(Contrast.ratio(RGB(0x336699), RGB(0x336699)) == 1)
    }

    /// The reference values of Ottosson's page for OKLab: white, and sRGB red as commonly given.
    @Test func oklabHasItsReferenceValues() {
        let white = OKLab(RGB(0xffffff))
        #expect(abs(white.lightness - 1) < 1e-6 && abs(white.a) < 1e-6 && abs(white.b) < 1e-6)
        let red = OKLab(RGB(0xff0000))
        #expect(abs(red.lightness - 0.62796) < 1e-4)
        #expect(abs(red.a - 0.22486) < 1e-4)
        #expect(abs(red.b - 0.12585) < 1e-4)
        #expect(OKLab(RGB(0x000000)) == OKLab(lightness: 0, a: 0, b: 0))
    }

    @Test func colorsSurviveTheWayToOKLabAndBack() {
        for hex: UInt32 in stride(from: 0, to: 0xffffff, by: 0x01_2345) {
            #expect(OKLab(RGB(hex)).linear.encoded == RGB(hex))
        }
    }

    @Test func greyStaysGreyToAllEyes() {
        for sight in Sight.allCases {
            #expect(sight.seen(LinearRGB(RGB(0x808080))).encoded == RGB(0x808080))
        }
    }

    /// Red and green are far apart to normal eyes, and run together without the red or the green receptor.
    @Test func redAndGreenRunTogetherToTheRedGreenBlind() {
        let (red, green) = (RGB(0xb04030), RGB(0x6b7a00))
        #expect(Sight.normal.distance(red, green) > 0.15)
        #expect(Sight.deuteranopia.distance(red, green) < 0.5 * Sight.normal.distance(red, green))
        #expect(Sight.tritanopia.distance(red, green) > Sight.deuteranopia.distance(red, green))
    }

    @Test(arguments: [
        ("default", ThemeColor.terminalDefault), ("red", .indexed(1)), ("bright-white", .indexed(15)),
        ("color0", .indexed(0)), ("color255", .indexed(255)), ("#A0b1C2", .rgb(RGB(0xa0b1c2))),
    ])
    func literalsAreRead(text: String, color: ThemeColor) {
        #expect(ThemeColor(literal: text) == color)
    }

    @Test(arguments: [
        "", "#", "#fff", "#12345g", "#1234567", "color", "color256", "color-1", "color+1x", "Red", "pink",
    ])
    func otherWordsAreNoColors(text: String) {
        #expect(ThemeColor(literal: text) == nil)
    }

    @Test func thePaletteIsXterms() {
        #expect(ThemeColor.indexed(16).nominal == RGB(0x000000))
        #expect(ThemeColor.indexed(67).nominal == RGB(0x5f87af))
        #expect(ThemeColor.indexed(231).nominal == RGB(0xffffff))
        #expect(ThemeColor.indexed(255).nominal == RGB(0xeeeeee))
    }
}
