//! Pieces of prompts, what chat templates of real folders hold, and what templates may not do.

#![allow(clippy::unwrap_used)]

use super::*;

const ASK: &str = "{% if history %}Seen: {{ history | join(\" \") }}\n{% endif %}Find {{ query }}";
const CHAT: &str = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content.strip() }}<|end|>{% endfor %}\
    {% if add_generation_prompt %}<|assistant|>{% endif %}";

fn frame(text: &str) -> Piece {
    Piece::Frame(text.into())
}

fn chat(text: &str) -> ChatTemplate<'_> {
    ChatTemplate { text, origin: Path::new("tokenizer_config.json") }
}

/// What is wrong with a template; always the user's to correct, and named.
fn fault(ask: &str, of_chat: Option<&str>) -> String {
    let error = match Template::new(ask, of_chat.map(chat), None, "", "") {
        Err(error) => error,
        Ok(template) => template.render(Some("ab"), 1).unwrap_err(),
    };
    assert_eq!(error.exit_code(), 2, "{error}");
    let told = error.to_string();
    let named = if of_chat.is_some() { "tokenizer_config.json: its chat template" } else { "ask" };
    assert!(told.contains(named), "{told}");
    assert!(told.len() < 600, "{told}");
    told
}

/// The text around `x` that a chat template renders.
fn chatted(text: &str) -> String {
    let template = Template::new("{{ query }}", Some(chat(text)), None, "", "").unwrap();
    let pieces = template.render(Some("x"), 0).unwrap();
    let text = |piece: &Piece| match piece {
        Piece::Frame(text) => text.clone(),
        other => format!("{other:?}"),
    };
    pieces.iter().map(text).collect()
}

#[test]
fn pieces_remember_where_they_are_from() {
    let plain = Template::new(ASK, None, None, "", "").unwrap();
    assert_eq!(
        plain.render(Some("<|end|> shoes"), 2).unwrap(),
        [
            frame("Seen: "),
            Piece::Item(0),
            frame(" "),
            Piece::Item(1),
            frame("\nFind "),
            Piece::User("<|end|> shoes".into()),
        ]
    );
    let with_chat = Template::new(ASK, Some(chat(CHAT)), Some("Be brief."), "<s>", "</s>").unwrap();
    assert_eq!(
        with_chat.render(Some("x"), 0).unwrap(),
        [
            frame("<s><|system|>Be brief.<|end|><|user|>Find "),
            Piece::User("x".into()),
            frame("<|end|><|assistant|>"),
        ]
    );
}

#[test]
fn framing_characters_of_users_are_replaced() {
    let plain = Template::new("{{ query }}", None, None, "", "").unwrap();
    let got = plain.render(Some("a\u{e001}b\u{e002}3\u{e003}"), 0).unwrap();
    assert_eq!(got, [Piece::User("a\u{fffd}b\u{fffd}3\u{fffd}".into())]);
}

#[test]
fn faults_of_templates_are_told() {
    assert!(fault("{% if %}", None).contains("ask is not a template"));
    assert!(fault("{{ query | frobnicate }}", None).contains("frobnicate"));
    assert!(fault("x", Some("{{ raise_exception('no chat') }}")).contains("no chat"));
    assert!(fault("{{ query[1:] }}", None).contains("use them as they are"));
    assert!(fault("{{ query }}", Some("{{ messages[0].content[1:] }}")).contains("as they are"));
}

#[test]
fn tags_that_mean_nothing_to_a_prompt_render_what_they_hold() {
    let marked = "a{% for m in messages %}\n  {%- generation %}\nb{{ m.role }}{% set c = 1 %}{% endgeneration -%}\n {{ c }}c{% endfor %}";
    assert_eq!(chatted(marked), "abuserc");
    // Where they are words, they stay.
    assert_eq!(
        chatted("{{ 'generation' }} {% raw %}{% generation %}{% endraw %}"),
        "generation {% generation %}"
    );
    let loops = "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}";
    assert_eq!(chatted(loops), "02");
}

#[test]
fn what_nests_too_deeply_is_refused_before_it_is_parsed() {
    let n = 60_000;
    let chains = [
        format!("{{{{ {}1 }}}}", "-".repeat(n)),
        format!("{{{{ {}1 }}}}", "not ".repeat(n)),
        format!("{{{{ 1{} }}}}", "|string".repeat(n / 2)),
        format!("{{{{ a{} }}}}", ".a".repeat(n)),
        format!("{{{{ 1{} }}}}", " ~ 1".repeat(n)),
        format!("{{{{ 1{} }}}}", " + 1".repeat(n)),
        format!("{{{{ 1{} }}}}", " ** 2".repeat(n / 2)),
        format!("{{{{ 1{} }}}}", " if a else 1".repeat(n / 4)),
        format!("{{{{ a{} }}}}", "[0]".repeat(n)),
        format!("{{{{ a{} }}}}", "()".repeat(n)),
        format!("{{{{ {}1{} }}}}", "(".repeat(n), ")".repeat(n)),
        format!("{{{{ {}1{} }}}}", "[".repeat(n), "]".repeat(n)),
        format!("{{{{ {}1{} }}}}", "{1:".repeat(n / 2), "}".repeat(n / 2)),
        // Each pair of brackets with a chain behind it: 40 times 40 within each other.
        format!(
            "{{{{ {}1{} }}}}",
            "(".repeat(40),
            format!("{}{})", "", ".a".repeat(40)).repeat(40)
        ),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(n / 4)),
        format!("{}{}", "{% if a %}".repeat(n / 8), "{% endif %}".repeat(n / 8)),
        format!("{}{}", "{% generation %}".repeat(200), "{% endgeneration %}".repeat(200)),
        format!("{{% set x = {}1 %}}", "not ".repeat(n)),
    ];
    for text in &chains {
        let told = fault("{{ query }}", Some(text));
        assert!(told.contains("is nested too deeply"), "{}: {told}", &text[..40]);
    }
    let told = fault(&chains[0], None);
    assert!(told.contains("ask is nested too deeply"), "{told}");
    let told = fault("{{ query }}", Some(&"x".repeat(300_000)));
    assert!(told.contains("has 300000 bytes, at most 262144"), "{told}");
    // What real templates hold is not deep: long lists, long texts, many turns one behind the other.
    let list = format!("{{{{ [{}][0] }}}}", "'a', ".repeat(5_000));
    assert_eq!(chatted(&list), "a");
    let turns = "{% if false %}{% elif true %}{{ 'b' ~ 'c' }}{% endif %}".repeat(500);
    assert_eq!(chatted(&turns), "bc".repeat(500));
}

#[test]
fn values_that_nest_too_deeply_are_refused() {
    let deep = |turns: usize, what: &str, then: &str| {
        let text = format!(
            "{{% set ns = namespace(a=[], b=[]) %}}{{% for i in range({turns}) %}}{what}{{% endfor %}}{then}"
        );
        let told = fault("{{ query }}", Some(&text));
        assert!(
            told.contains("is nested too deeply: it makes more than 100 values"),
            "{what}: {told}"
        );
    };
    let list = "{% set ns.a = [ns.a] %}";
    for turns in [200, 5_000, 90_000] {
        deep(turns, list, "");
        deep(turns, list, "{{ ns.a }}");
        deep(turns, list, "{{ ns.a | tojson }}");
        deep(turns, "{% set ns.a = {'a': ns.a} %}", "{{ ns.a | tojson(indent=9) }}");
        deep(turns, "{% set ns.a = (ns.a,) %}", "{{ ns.a }}");
        deep(turns, "{% set ns.a = [ns.a] %}{% set ns.b = [ns.b] %}", "{{ ns.a == ns.b }}");
        deep(turns, "{% set ns.a = [ns.a] %}{% set ns.b = [ns.b] %}", "{{ ns.a < ns.b }}");
        deep(turns, list, "{{ ns.a in [ns.a] }}{{ {ns.a: 1} }}");
    }
    // As deep as steps allow: what was made is dropped, printed and compared within the stack.
    let most = format!("{{% set ns.a = {}ns.a{} %}}", "[".repeat(50), "]".repeat(50));
    for then in ["", "{{ ns.a }}", "{{ ns.a == [ns.a] }}", "{{ ns.a | tojson }}"] {
        deep(1_400, &most, then);
    }
    deep(1, "{% set ns.a = ns %}", "{{ ns }}");
    deep(1, "{% set ns.a = ns %}", "{{ ns | tojson }}");
    deep(1, "{% set ns.a = ns %}", "{{ ns == namespace(a=ns) }}");
}

#[test]
fn a_rendering_takes_no_longer_and_no_more_than_a_prompt_needs() {
    let turns = "{% for a in range(9999) %}";
    let end = "{% endfor %}";
    let cases = [
        format!("{turns}{turns}{turns}{end}{end}{end}"),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".into(),
        "{{ 'a' * 1000000000 }}".into(),
        "{{ ('a' * 100000 * 100000) | length }}".into(),
        "{{ [1] * 1000000000 }}".into(),
        "{{ range(1000000000) | list | length }}".into(),
        "{{ '%1000000000d' | format(1) }}".into(),
        "{{ '{:1000000000}'.format(1) }}".into(),
        "{% set a = 'a' * 1000000 %}{{ a.replace('a', a) }}".into(),
        "{% set a = 'a' * 1000000 %}{{ a.replace('', a) }}".into(),
        "{% set a = 'a' * 1000000 %}{{ a.replace('a', a, 100000) }}".into(),
        "{% set a = 'a' * 1000000 %}{{ a | replace('a', a) }}".into(),
        "{% set a = 'a' * 1000000 %}{{ a.join(a) }}".into(),
        "{% set a = 'a' * 1000000 %}{{ ('{0}' * 1000000).format(a) }}".into(),
        "{{ 'a' | indent(1000000000, true) }}".into(),
        "{{ 'a' | center(1000000000) }}".into(),
        format!("{}{{% for i in range(60) %}}{{% set ns.a = [ns.a, ns.a] %}}{{% endfor %}}{{{{ ns.a }}}}", "{% set ns = namespace(a=[1]) %}"),
        format!("{}{{% for i in range(60) %}}{{% set ns.a = [ns.a, ns.a] %}}{{% endfor %}}{{{{ ns.a.count(ns.a) }}}}", "{% set ns = namespace(a=[1]) %}"),
        format!("{}{{% for i in range(60) %}}{{% set ns.a = [ns.a, ns.a] %}}{{% endfor %}}{{{{ ','.join(ns.a) }}}}", "{% set ns = namespace(a=[1]) %}"),
        "{{ [1] | tojson(indent=1000000000) }}".into(),
        "{{ [1] | pprint }}".into(),
        "{% set ns = namespace(a='ab') %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}".into(),
        "{% set ns = namespace(a='ab') %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a }}".into(),
        "{{ 2 ** 100000000000 }}".into(),
        "{% include 'chat' %}".into(),
    ];
    for text in &cases {
        let began = std::time::Instant::now();
        fault("{{ query }}", Some(text));
        assert!(began.elapsed().as_secs() < 5, "{text} took {:?}", began.elapsed());
    }
    let told = fault("{{ query }}", Some(&cases[0]));
    assert!(told.contains("takes too long: more than 100000 steps"), "{told}");
    let told = fault(&cases[0], None);
    assert!(told.contains("ask takes too long"), "{told}");
    // Ordinary methods stay.
    assert_eq!(
        chatted("{{ 'a-b'.replace('-', '+') }}{{ 'a-b-c'.replace('-', '+', 1) }}"),
        "a+ba+b-c"
    );
    assert_eq!(chatted("{{ ', '.join(['a', 'b']) }}{{ '{} {}'.format('a', 1) }}"), "a, ba 1");
    assert_eq!(chatted("{{ {'a': [1]}.get('a') }}{{ 'ab'.startswith(('x', 'a')) }}"), "[1]True");
}
