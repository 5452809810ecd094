"""The brake: when many addresses seem to be dead at once, no refusal is believed."""

from hypothesis import given
from hypothesis import strategies as st

from recovery.engine.brake import LEAST, OF_ANSWERS, PART, Brake


def test_a_tenth_of_the_last_answers_is_too_much_in_whatever_words():
    """However many answers there are, only the last count."""
    brake = Brake()
    for number in range(3 * OF_ANSWERS):
        brake.passed(f"p{number}", 0.0)
    believed = [
        not brake.refused(f"d{number}", f"550 no {'abcdefghij'[number % 10]}", 1.0, address=True)
        for number in range(LEAST)
    ]
    assert believed == [True] * (LEAST - 1) + [False]
    assert brake.fault == f"{LEAST} of the last {OF_ANSWERS} addresses were called dead, last: 550 no j"


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=600))
def test_what_is_counted_is_what_the_last_answers_say(answers):
    """Of each checkout one dead answer counts, and none once it was taken after all."""
    brake, kept = Brake(), []
    for number, (who, dead) in enumerate(answers):
        id_ = f"c{who}"
        if not dead:
            brake.passed(id_, float(number))
            if (id_, True) in kept:
                kept.remove((id_, True))
            kept.append((id_, False))
        else:
            brake.refused(id_, f"550 {chr(97 + number % 26)}", float(number), address=True)
            if (id_, True) not in kept:
                kept.append((id_, True))
        kept = kept[-OF_ANSWERS:]
        count = sum(dead for _, dead in kept)
        assert brake._too_many() is (count >= LEAST and count >= PART * len(kept))
