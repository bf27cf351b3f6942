import Synchronization
import Testing

@testable import BurstDaemon

/// The driver's queue: in which order what waits is taken.
@Suite struct InboxTests {
    @Test func questionsDoNotWaitForAllEvents() {
        let inbox = Inbox<String>()
        for number in 1...5 { inbox.add("event \(number)") }
        #expect(inbox.offer("question 1", bytes: 1))
        inbox.add("event 6")
        inbox.add("gone", behindQuestions: true)
        #expect(inbox.offer("question 2", bytes: 1))
        // What a client asked comes before its end.
        #expect(
            inbox.take(milliseconds: 0, most: 2).items == ["event 1", "event 2", "question 1", "gone", "question 2"])
        #expect(inbox.take(milliseconds: 0, most: 2).items == ["event 3", "event 4"])
        #expect(inbox.take(milliseconds: 0).items == ["event 5", "event 6"])
        #expect(inbox.take(milliseconds: 0).items == [])
    }

    @Test func questionsHaveALimitAndComeAgain() {
        let inbox = Inbox<Int>()
        for number in 0..<DaemonLimits.questionsWaitingMax { #expect(inbox.offer(number, bytes: 1)) }
        #expect(!inbox.offer(-1, bytes: 1))
        // What must not be lost is taken all the same.
        inbox.add(-2)
        let taken = inbox.take(milliseconds: 0)
        #expect(taken.items == [-2] + Array(0..<DaemonLimits.questionsWaitingMax))
        #expect(taken.wasFull)
        #expect(inbox.offer(1, bytes: DaemonLimits.questionBytesWaitingMax + 1))
        #expect(!inbox.offer(2, bytes: 1))
        #expect(inbox.take(milliseconds: 0).items == [1])
        #expect(!inbox.take(milliseconds: 0).wasFull)
    }

    private final class Done: Sendable {
        let numbers = Mutex<[Int]>([])
    }

    @Test func whatIsAddedIsDoneInOrderBeforeTheEnd() async {
        let thread = InOrder()
        let done = Done()
        for number in 0..<1000 { thread.add { done.numbers.withLock { $0.append(number) } } }
        await thread.finish()
        #expect(done.numbers.withLock { $0 } == Array(0..<1000))
        thread.add { done.numbers.withLock { $0.append(-1) } }
        #expect(done.numbers.withLock { $0.count } == 1000)
    }
}
