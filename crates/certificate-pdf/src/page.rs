//! The page of a certificate, and files of many.

use chrono::Datelike as _;
use krilla::{
    Document, SerializeSettings,
    geom::Size,
    metadata::{DateTime, Metadata},
    page::PageSettings,
};
use shipei_certificates::Certificate;

use crate::{
    draw::{Align, Canvas, GOLD, GREY, INK, PALE, RED},
    error::PrintError,
    fonts::Fonts,
    line::{Fitted, Line, Room, count},
    qr,
};

/// A4 landscape, in points.
const WIDTH: f32 = 841.89;
const HEIGHT: f32 = 595.276;
const CENTRE: f32 = WIDTH / 2.0;
/// What is read stands between these.
const MARGIN: f32 = 92.0;
const TEXT_WIDTH: f32 = WIDTH - 2.0 * MARGIN;
/// The square of the code: 36 mm, and larger for a longer one.
const CODE_SIDE: f32 = 102.0;
const CODE_SIDE_MAX: f32 = 124.0;

/// A certificate to be printed: what it says, and its code.
#[derive(Debug, Clone, Copy)]
pub struct Printed<'a> {
    /// What stands on it.
    pub certificate: &'a Certificate,
    /// Its signed form.
    pub code: &'a str,
}

/// A PDF with a page for each certificate, in their order; `printed` is told after each page. The same certificates give the same
/// bytes.
///
/// # Errors
/// [`PrintError`].
pub fn print(
    fonts: &mut Fonts,
    certificates: &[Printed<'_>],
    mut printed: impl FnMut(),
) -> Result<Vec<u8>, PrintError> {
    let settings =
        SerializeSettings { xmp_metadata: false, enable_tagging: false, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    if let Some(first) = certificates.first() {
        document.set_metadata(metadata(first.certificate));
    }
    for one in certificates {
        let texts = Texts::set(fonts, one.certificate)?;
        let number = || one.certificate.number.to_string();
        let code = qr::picture(one.code).ok_or_else(|| PrintError::Code(number()))?;
        let size = Size::from_wh(WIDTH, HEIGHT).ok_or_else(|| PrintError::Pdf(number()))?;
        let mut page = document.start_page_with(PageSettings::new(size));
        let side = if one.code.len() > qr::LONG { CODE_SIDE_MAX } else { CODE_SIDE };
        {
            let mut canvas = Canvas { surface: page.surface(), fonts };
            frames(&mut canvas);
            texts.draw(&mut canvas);
            canvas.picture(code, (MARGIN - 5.0, 516.0 - side), side);
            canvas.surface.finish();
        }
        page.finish();
        printed();
    }
    document.finish().map_err(|error| PrintError::Pdf(format!("{error:?}")))
}

fn metadata(certificate: &Certificate) -> Metadata {
    let day = certificate.issued_on;
    let issued = DateTime::new(u16::try_from(day.year()).unwrap_or(0))
        .month(u8::try_from(day.month()).unwrap_or(1))
        .day(u8::try_from(day.day()).unwrap_or(1));
    let title = format!("{} 年度培训合格证书", certificate.programme_title);
    let metadata = Metadata::new().title(title).language("zh-CN".to_owned());
    metadata.creator("shipei".to_owned()).creation_date(issued)
}

/// The texts of a page in the sizes that they fit in.
struct Texts {
    title: Line,
    year: Line,
    number: Line,
    hereby: Line,
    name: Fitted,
    from: Fitted,
    body: Fitted,
    code: Vec<Line>,
    seal: Line,
    day: Line,
}

impl Texts {
    fn set(fonts: &mut Fonts, it: &Certificate) -> Result<Self, PrintError> {
        let mut line = |text: &str, bold: bool| Line::shape(fonts, text, bold);
        let bold = line(&it.name, true)?;
        // A name is of one weight: rare characters are nowhere bold.
        let name = if bold.is_of_one_font() { bold } else { line(&it.name, false)? };
        let from = [it.county.as_str(), it.school.as_str()];
        let from: Vec<&str> = from.into_iter().filter(|text| !text.is_empty()).collect();
        let from = line(&from.join("　"), false)?;
        let body = line(&body(it), false)?;
        let grounds = &it.grounds;
        let basis = format!("成绩定稿 第 {} 版 第 {} 号", grounds.version, u64::from(grounds.leaf_index) + 1);
        let day = it.issued_on;
        let name_room = Room { width: TEXT_WIDTH, height: 66.0, sizes: (32.0, 18.0), leading: 1.3, lines: 1 };
        let from_room =
            Room { width: TEXT_WIDTH, height: 44.0, sizes: (15.0, 10.0), leading: 1.35, lines: 1 };
        let body_room = Room { width: TEXT_WIDTH, height: 96.0, sizes: (19.0, 8.0), leading: 1.75, lines: 3 };
        Ok(Self {
            title: line("培训合格证书", true)?,
            year: line(&format!("{}年度", it.year), false)?,
            number: line(&format!("证书编号  {}", it.number), false)?,
            hereby: line("兹证明", false)?,
            name: name_room.fit(&name),
            from: from_room.fit(&from),
            body: body_room.fit(&body),
            code: vec![line("扫码查验：码内含证书全部内容与电子签名", false)?, line(&basis, false)?],
            seal: line("发证单位（盖章）", false)?,
            day: line(&format!("{}年{}月{}日", day.year(), day.month(), day.day()), false)?,
        })
    }

    fn draw(&self, canvas: &mut Canvas<'_, '_>) {
        canvas.text(&self.year, (CENTRE, 92.0), Align::Centre, (17.0, 4.0), RED);
        canvas.text(&self.title, (CENTRE, 144.0), Align::Centre, (44.0, 12.0), RED);
        canvas.text(&self.number, (CENTRE, 171.0), Align::Centre, (10.5, 0.6), GREY);
        canvas.text(&self.hereby, (CENTRE, 206.0), Align::Centre, (14.0, 6.0), INK);
        // The lines of a name stand in the middle of its room, and a rule under them.
        centred(canvas, &self.name, 246.0, 1.3);
        canvas.lines(&[(CENTRE - 190.0, 281.0), (CENTRE + 190.0, 281.0)], 0.6, GOLD);
        centred(canvas, &self.from, 305.0, 1.35);
        self.draw_body(canvas);
        for (at, line) in self.code.iter().enumerate() {
            canvas.text(line, (MARGIN, 524.0 + 11.0 * count(at)), Align::Left, (7.5, 0.0), GREY);
        }
        let seal = WIDTH - MARGIN - 78.0;
        canvas.circle((seal, 465.0), 54.0, PALE);
        canvas.text(&self.seal, (seal, 469.0), Align::Centre, (12.0, 1.0), GREY);
        canvas.text(&self.day, (seal, 537.0), Align::Centre, (13.0, 1.0), INK);
    }

    fn draw_body(&self, canvas: &mut Canvas<'_, '_>) {
        let Fitted { lines, size } = &self.body;
        let step = size * 1.75;
        if let [one] = lines.as_slice() {
            canvas.text(one, (CENTRE, 358.0), Align::Centre, (*size, 0.0), INK);
            return;
        }
        for (at, line) in lines.iter().enumerate() {
            // A full line is spread to the margin, so that both edges are straight.
            let free = TEXT_WIDTH - line.width(*size, 0.0);
            let spread = at + 1 < lines.len() && free < 2.0 * size;
            let spacing = if spread { free / count(line.shapes.len().saturating_sub(1).max(1)) } else { 0.0 };
            canvas.text(line, (MARGIN, 352.0 + step * count(at)), Align::Left, (*size, spacing), INK);
        }
    }
}

/// What the certificate says in a sentence.
fn body(it: &Certificate) -> String {
    let teaches = [it.education_stage.as_str(), it.subject.as_str()];
    let teaches: Vec<&str> = teaches.into_iter().filter(|text| !text.is_empty()).collect();
    let teaches = if teaches.is_empty() { String::new() } else { format!("（{}）", teaches.join("，")) };
    let hours = it.credit_hours.map_or(String::new(), |hours| format!("，完成{hours}学时"));
    format!(
        "　　参加{}{teaches}{hours}，最终成绩{}分，达到合格标准，考核合格，特发此证。",
        it.programme_title, it.total
    )
}

/// Lines one under the other around a height.
fn centred(canvas: &mut Canvas<'_, '_>, fitted: &Fitted, middle: f32, leading: f32) {
    let Fitted { lines, size } = fitted;
    let step = size * leading;
    // The base line of Chinese is a third of its height below its middle.
    let first = middle - step * count(lines.len() - 1) / 2.0 + size * 0.36;
    for (at, line) in lines.iter().enumerate() {
        let spacing = if lines.len() == 1 && line.shapes.len() <= 4 { size * 0.25 } else { 0.0 };
        canvas.text(line, (CENTRE, first + step * count(at)), Align::Centre, (*size, spacing), INK);
    }
}

/// Two frames, and in each corner a fret (回纹).
fn frames(canvas: &mut Canvas<'_, '_>) {
    let page = (WIDTH, HEIGHT);
    canvas.frame(page, 26.0, 3.2, RED);
    canvas.frame(page, 32.0, 0.7, GOLD);
    canvas.frame(page, 46.0, 0.7, GOLD);
    for (x, y, right, down) in [
        (32.0, 32.0, 1.0, 1.0),
        (WIDTH - 32.0, 32.0, -1.0, 1.0),
        (32.0, HEIGHT - 32.0, 1.0, -1.0),
        (WIDTH - 32.0, HEIGHT - 32.0, -1.0, -1.0),
    ] {
        let fret = [
            (0.0, 46.0),
            (46.0, 46.0),
            (46.0, 0.0),
            (38.0, 0.0),
            (38.0, 38.0),
            (8.0, 38.0),
            (8.0, 8.0),
            (30.0, 8.0),
            (30.0, 30.0),
            (16.0, 30.0),
            (16.0, 16.0),
            (22.0, 16.0),
            (22.0, 23.0),
        ];
        let points: Vec<(f32, f32)> = fret.iter().map(|(a, b)| (x + right * a, y + down * b)).collect();
        canvas.lines(&points, 1.6, RED);
    }
}
