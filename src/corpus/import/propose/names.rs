//! What fields are usually called.

/// Words of a name: `itemId`, `item_id` and `item id` are all `item id`.
pub(super) fn words(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let mut words = String::new();
    let mut before = ' ';
    for c in last.chars() {
        if !c.is_alphanumeric() {
            words.push(' ');
        } else {
            if c.is_uppercase() && before.is_lowercase() {
                words.push(' ');
            }
            words.extend(c.to_lowercase());
        }
        before = c;
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words that say nothing without those of the object around them.
const GENERAL: [&str; 7] = ["id", "text", "value", "raw", "string", "term", "key"];

/// How well a field's name fits names in the order of preference: 0 is the best; none where it fits no one.
pub(super) fn fit(name: &str, usual: &[&str]) -> Option<usize> {
    let last = words(name);
    let around = name.rsplit_once('.').map(|(around, _)| words(around));
    let is_general = around.is_some() && GENERAL.contains(&last.as_str());
    let exact = |words: &str| usual.iter().position(|usual| words == *usual);
    // `user.id` is a user's id.
    let joined = around.as_ref().and_then(|around| exact(&format!("{around} {last}")));
    let own = exact(&last).filter(|_| !is_general);
    if let Some(place) = joined.into_iter().chain(own).min() {
        return Some(place);
    }
    if is_general {
        let around = around.and_then(|around| exact(&around)).map(|place| place + 2 * usual.len());
        return around.or_else(|| exact(&last).map(|place| place + 3 * usual.len()));
    }
    // `product name de` is a name, too, but a worse one.
    let is_within = |usual: &str| {
        last.starts_with(&format!("{usual} ")) || last.ends_with(&format!(" {usual}"))
    };
    usual.iter().position(|one| is_within(one)).map(|place| place + usual.len())
}

/// Whether a name is one of the usual ones.
pub(super) fn is_usual(name: &str, usual: &[&str]) -> bool {
    fit(name, usual).is_some_and(|place| place < usual.len())
}

pub(super) const ITEM: &[&str] = &[
    "item id",
    "product id",
    "sku",
    "asin",
    "parent asin",
    "article id",
    "article",
    "item",
    "product",
    "doc id",
    "video id",
    "movie id",
    "listing id",
    "offer id",
    "goods id",
    "wid",
    "product uid",
    "target item id",
    "docid",
    "itemid",
    "productid",
    "id",
];
pub(super) const TITLE: &[&str] = &[
    "title",
    "name",
    "item title",
    "product title",
    "product name",
    "item name",
    "headline",
    "label",
];
pub(super) const TEXT: &[&str] = &[
    "brand",
    "brand name",
    "manufacturer",
    "subtitle",
    "description",
    "desc",
    "body",
    "text",
    "summary",
    "features",
    "bullet points",
    "keywords",
    "tags",
    "author",
];
pub(super) const CATEGORY: &[&str] = &[
    "category",
    "categories",
    "category path",
    "breadcrumb",
    "breadcrumbs",
    "taxonomy",
    "category name",
    "department",
    "genre",
    "genres",
];
pub(super) const PRICE: &[&str] = &["price", "sale price", "current price", "list price"];
pub(super) const REQUEST: &[&str] = &[
    "request id",
    "request",
    "search id",
    "impression id",
    "query instance id",
    "page view id",
    "pageview id",
    "serp id",
    "qid",
];
pub(super) const USER: &[&str] = &[
    "user id",
    "user",
    "visitor id",
    "customer id",
    "client id",
    "uid",
    "userid",
    "account id",
    "member id",
    "cookie id",
];
pub(super) const SESSION: &[&str] = &["session id", "session", "visit id", "sessionid"];
pub(super) const TIME: &[&str] = &[
    "time",
    "timestamp",
    "ts",
    "event time",
    "datetime",
    "date time",
    "created at",
    "unix timestamp",
    "time index",
    "date",
];
pub(super) const QUERY: &[&str] = &[
    "query",
    "query text",
    "search query",
    "search term",
    "keyword",
    "keywords",
    "q",
    "search",
    "phrase",
    "query id",
];
pub(super) const POSITION: &[&str] = &["position", "pos", "rank", "slot", "index"];
pub(super) const PROPENSITY: &[&str] = &["propensity", "propensity score", "pscore"];
pub(super) const CLICK: &[&str] = &["click", "clicked", "is click", "is clicked", "clicks"];
/// Times clicked.
pub(super) const CLICKS: &[&str] = &[
    "clicks",
    "click count",
    "clicks count",
    "n clicks",
    "num clicks",
    "number of clicks",
    "total clicks",
    "click",
];
/// Times shown.
pub(super) const IMPRESSIONS: &[&str] = &[
    "impressions",
    "impression count",
    "impressions count",
    "n impressions",
    "num impressions",
    "number of impressions",
    "total impressions",
    "times shown",
    "exposures",
    "views",
    "view count",
    "shown",
];
/// How far an item got, or how good it was, in a number.
pub(super) const LABEL: &[&str] = &["label", "rating", "relevance", "grade", "stars", "score"];
pub(super) const CART: &[&str] =
    &["cart", "carted", "add to cart", "is cart", "atc", "is carted", "added to cart"];
pub(super) const ORDER: &[&str] = &[
    "order",
    "ordered",
    "purchase",
    "purchased",
    "is purchased",
    "is purchase",
    "buy",
    "bought",
    "is order",
    "is ordered",
    "conversion",
    "sale",
];
pub(super) const DWELL: &[&str] = &["dwell", "dwell time", "watch time", "play time"];
pub(super) const SHOWN: &[&str] = &[
    "shown",
    "impressions",
    "impressed item ids",
    "shown items",
    "results",
    "candidates",
    "items",
    "result ids",
    "item ids",
    "candidate wid list",
    "slate",
];
pub(super) const CLICKED: &[&str] =
    &["clicked item ids", "clicked items", "clicked", "clicks", "click ids"];
pub(super) const CARTED: &[&str] = &["carted item ids", "carted items", "carted", "carts"];
pub(super) const ORDERED: &[&str] = &[
    "purchased item ids",
    "ordered item ids",
    "ordered items",
    "purchased items",
    "orders",
    "purchases",
    "ordered",
    "purchased",
];
pub(super) const HISTORY: &[&str] =
    &["history", "recently clicked item ids", "history items", "past items"];
pub(super) const EVENT: &[&str] = &[
    "event",
    "event type",
    "action",
    "behavior",
    "behaviour",
    "type",
    "interaction",
    "event name",
];

/// Words of events, and what they mean: shown, clicked, carted, ordered.
pub(super) const EVENTS: [&[&str]; 4] = [
    &["view", "impression", "show", "shown", "pv", "exposure", "impress", "search"],
    &["click", "clicked", "select", "detail", "open", "play", "clk"],
    &["cart", "addtocart", "add to cart", "add", "basket", "carted"],
    &["order", "purchase", "buy", "transaction", "ordered", "bought", "checkout", "conversion"],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_in_any_spelling() {
        assert_eq!(words("payload.itemId"), "item id");
        assert_eq!(fit("Item_ID", ITEM), Some(0));
        assert_eq!(fit("user.id", USER), Some(0));
        assert!(fit("query.text", QUERY) < fit("query.value", QUERY));
        assert!(fit("query.value", QUERY).is_some() && fit("seller.text", QUERY).is_none());
        assert_eq!(fit("results.item.id", ITEM), Some(0));
        assert!(fit("id", ITEM) < fit("seller.id", ITEM));
        assert!(fit("product_name_de", TITLE) > fit("title", TITLE));
        assert_eq!(fit("weather", TIME), None);
    }
}
