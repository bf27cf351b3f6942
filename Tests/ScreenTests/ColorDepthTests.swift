import BurstScreen
import Testing

@Suite struct ColorDepthTests {
    private func automatic(
        _ environment: [String: String] = [:], colors: Int, isTerminal: Bool = true, canDefine: Bool = false
    ) -> ColorDepth {
        ColorDepth.choose(
            option: .automatic, environment: environment, terminalColors: colors, isTerminal: isTerminal,
            canDefineColors: canDefine)
    }

    @Test func theOptionWinsOverEverything() {
        let wishes: [(ColorOption, ColorDepth)] = [
            (.never, .mono), (.sixteen, .sixteen), (.indexed256, .indexed256), (.trueColor, .trueColor),
        ]
        for (option, depth) in wishes {
            let chosen = ColorDepth.choose(
                option: option, environment: ["NO_COLOR": "1"], terminalColors: 0, isTerminal: false)
            #expect(chosen == depth)
        }
    }

    @Test func noColorCountsOnlyWhenItIsNotEmpty() {
        #expect(automatic(["NO_COLOR": "1"], colors: 256) == .mono)
        #expect(automatic(["NO_COLOR": ""], colors: 256) == .indexed256)
    }

    @Test func withoutATerminalOrColorsThereAreNone() {
        #expect(automatic(colors: 256, isTerminal: false) == .mono)
        #expect(automatic(colors: 0) == .mono)
        #expect(automatic(colors: -1) == .mono)
    }

    @Test func theTerminalsNumberDecidesTheRest() {
        #expect(automatic(colors: 8) == .eight)
        #expect(automatic(colors: 16) == .sixteen)
        #expect(automatic(colors: 88) == .sixteen)
        #expect(automatic(colors: 256) == .indexed256)
        #expect(automatic(colors: 1 << 24) == .trueColor)
    }

    @Test func colortermCountsOnlyWhereColorsCanBeDefined() {
        #expect(automatic(["COLORTERM": "truecolor"], colors: 256) == .indexed256)
        #expect(automatic(["COLORTERM": "truecolor"], colors: 256, canDefine: true) == .trueColor)
        #expect(automatic(["COLORTERM": "24bit"], colors: 256, canDefine: true) == .trueColor)
        #expect(automatic(["COLORTERM": "yes"], colors: 256, canDefine: true) == .indexed256)
    }
}
